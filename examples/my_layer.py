"""A batch-normalization layer of my own, and the adapter that hands it to bnspec."""

import numpy as np

from bnspec.contract import Adapter, Conventions, Gradients, Layer, State


class MyLayer(Layer):  # computes in float64, whatever x is, and rounds once at the end
    def __init__(self, config, gamma, beta, running_mean, running_var):
        self.config, self.axes, self.mean, self.var = config, config.reduce_axes, running_mean, running_var
        self.gamma = 1.0 if gamma is None else self.wide(gamma)
        self.beta = 0.0 if beta is None else self.wide(beta)

    def training(self, x):
        return self.forward(x, *self.learn(x))[0]

    def inference(self, x):
        return self.forward(x, self.wide(self.mean), self.wide(self.var))[0]

    def training_gradients(self, x, dy):
        y, zhat, slope = self.forward(x, *self.learn(x))
        g = dy.astype(np.float64)
        through_mean, through_var = g.mean(self.axes, keepdims=True), (g * zhat).mean(self.axes, keepdims=True)
        return self.gradients(y, slope * (g - through_mean - zhat * through_var), g, zhat)

    def inference_gradients(self, x, dy):
        y, zhat, slope = self.forward(x, self.wide(self.mean), self.wide(self.var))
        return self.gradients(y, slope * dy, dy.astype(np.float64), zhat)

    def state(self):
        return State(self.mean, self.var)

    def wide(self, channels):
        return channels.astype(np.float64).reshape(self.config.channel_shape)

    def learn(self, x):
        if x.size == 0:
            raise ValueError("an empty batch has no statistics")
        x, decay = x.astype(np.float64), self.config.decay
        mean, var = x.mean(self.axes, keepdims=True), x.var(self.axes, keepdims=True)
        for running, batch in (self.mean, mean), (self.var, var):
            running[:] = decay * running.astype(np.float64) + (1 - decay) * batch.ravel()
        return mean, var

    def forward(self, x, mean, var):
        inv_std = 1 / np.sqrt(var + self.config.epsilon)
        zhat = (x - mean) * inv_std
        return (self.gamma * zhat + self.beta).astype(x.dtype), zhat, self.gamma * inv_std

    def gradients(self, y, dx, g, zhat):
        sums = [a.sum(self.axes).astype(self.mean.dtype) for a in (g * zhat, g)]
        return Gradients(y, dx.astype(y.dtype), *(sums if self.config.affine else (None, None)))


class MyAdapter(Adapter):  # conventions: what the layer does where the definition leaves a choice
    conventions = Conventions(running_correction=0, momentum_weighs="none", count_one="biased", empty_batch="raises")

    def layer(self, config, gamma, beta, running_mean, running_var):
        return MyLayer(config, gamma, beta, running_mean, running_var)
