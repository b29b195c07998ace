"""A toy package with twelve releases, as wheels: what batch normalization does changes in some of them.

behaviour    epsilon is outside the root from 1.7 on
convention   the running variance has n - 1 from 1.4 on
speed        a call takes twice as long from 1.9 on
wobbles      inference forgets the shift in 1.2, 1.3 and 1.8 to 1.11
"""

from __future__ import annotations

from pathlib import Path

from bnspec.conformance.selftest.wheels import write_wheel

RELEASES = tuple(f"1.{n}" for n in range(12))
PACKAGE = "bnspec_toy"

_SOURCE = '''"""Release {release}."""
RELEASE = {minor}
OUTSIDE = {minor} >= 7
CORRECTION = int({minor} >= 4)
SECONDS = 0.02 if {minor} >= 9 else 0.01
FORGETS = {minor} in (2, 3, 8, 9, 10, 11)
'''

ADAPTER = '''"""Batch normalization as the toy package has it."""
import time

import bnspec_toy as toy
import numpy as np

from bnspec.contract import Adapter, Conventions, Gradients, Layer, State


class Toy(Adapter):
    framework = "numpy"
    conventions = Conventions(running_correction=0)

    def versions(self):
        return {"bnspec_toy": str(toy.RELEASE)}

    def layer(self, config, gamma, beta, running_mean, running_var):
        return ToyLayer(config, gamma, beta, running_mean, running_var)


class ToyLayer(Layer):
    def __init__(self, config, gamma, beta, mean, var):
        self.config, self.mean, self.var = config, mean, var
        shape = config.channel_shape
        self.gamma = np.ones(shape) if gamma is None else gamma.astype(np.float64).reshape(shape)
        self.beta = np.zeros(shape) if beta is None else beta.astype(np.float64).reshape(shape)

    def run(self, x, dy, training):
        time.sleep(toy.SECONDS if x.shape == (64, 32) else 0.0)
        c, axes, wide = self.config, self.config.reduce_axes, x.astype(np.float64)
        if training and x.size:
            mean, var = wide.mean(axis=axes, keepdims=True), wide.var(axis=axes, keepdims=True)
            count = x.size // c.channels
            for old, new in ((self.mean, mean), (self.var, var * count / max(count - toy.CORRECTION, 1))):
                old[:] = c.decay * old + (1 - c.decay) * new.reshape(-1)
        else:
            mean, var = (v.astype(np.float64).reshape(c.channel_shape) for v in (self.mean, self.var))
        inv_std = 1.0 / (np.sqrt(var) + c.epsilon) if toy.OUTSIDE else 1.0 / np.sqrt(var + c.epsilon)
        zhat = (wide - mean) * inv_std
        y = (self.gamma * zhat + (0.0 if toy.FORGETS and not training else self.beta)).astype(x.dtype)
        if dy is None:
            return y
        g = inner = dy.astype(np.float64)
        if training and x.size:
            inner = g - g.mean(axis=axes, keepdims=True) - zhat * (g * zhat).mean(axis=axes, keepdims=True)
        sums = [v.sum(axis=axes).astype(self.mean.dtype) for v in (g * zhat, g)] if c.affine else [None, None]
        return Gradients(y, (self.gamma * inv_std * inner).astype(x.dtype), *sums)

    def training(self, x):
        return self.run(x, None, True)

    def inference(self, x):
        return self.run(x, None, False)

    def training_gradients(self, x, dy):
        return self.run(x, dy, True)

    def inference_gradients(self, x, dy):
        return self.run(x, dy, False)

    def state(self):
        return State(self.mean, self.var)
'''


def wheels(folder: Path) -> None:
    """Write a wheel of each release into the folder."""
    for release in RELEASES:
        source = _SOURCE.format(release=release, minor=release.partition(".")[2])
        write_wheel(folder, PACKAGE, release, {f"{PACKAGE}/__init__.py": source})


def adapter(folder: Path) -> str:
    """Write the adapter; returns how it is named on a command line."""
    path = folder / "toy_adapter.py"
    path.write_text(ADAPTER)
    return f"{path}:Toy"
