"""Modules in eval() that paddle.jit.save wrote and the predictor of paddle.inference runs, with the passes that it has by default.

    paddle.inference                   BatchNorm1D, BatchNorm2D and BatchNorm3D
    paddle.inference.plain             the same with weight_attr=False and bias_attr=False
    paddle.folded                      the same after Conv1D, Conv2D and Conv3D, of which passes make one convolution
    paddle.folded.transposed           after Conv1DTranspose, Conv2DTranspose and Conv3DTranspose, without a bias
    paddle.folded.transposed.grouped   the same in groups

A convolution computes the case's x exactly; see ``worker.folding``.

Source: https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/jit/save_en.html and
https://www.paddlepaddle.org.cn/inference/master/guides/introduction/workflow.html
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import tempfile
from typing import Any, Optional

import numpy as np

from bnspec.backends.paddle.common import CONVENTIONS, PaddleAdapter, new_module, put
from bnspec.backends.worker.folding import input_of, mixing, pairs
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Declined, LayerConfig, State

#: What the predictor is asked: float32, in which its kernels all are.
PREDICTED = dataclasses.replace(
    CONVENTIONS,
    dtypes=("float32",),
    channel_axes="first",
    affine_optional=False,
    checks_arguments=False,
    gradient_modes=(),
)


class PaddleInference(PaddleAdapter):
    """The module of x's rank in a predictor."""

    conventions = PREDICTED

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> PredictedLayer:
        """The module of x's rank with these values; the predictor is made when the layer is called."""
        new = self.new_layer(config)
        put(new.module, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> PredictedLayer:
        """The module of x's rank, as constructed."""
        return PredictedLayer(self, config, new_module(self.paddle, config))

    def model(self, config: LayerConfig, module: Any) -> Any:
        """What is saved."""
        return module

    def given(self, config: LayerConfig, x: np.ndarray) -> np.ndarray:
        """The model's input of which the module's is x."""
        return x

    def predictor(self, config: LayerConfig, module: Any) -> Any:
        """The predictor of the saved model; all extents but the channels are open."""
        paddle, inference = self.paddle, importlib.import_module("paddle.inference")
        shape = [config.channels if axis == 1 else None for axis in range(config.rank)]
        spec = paddle.static.InputSpec(shape, config.dtype, name="x")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "layer")
            paddle.jit.save(self.model(config, module).eval(), path, input_spec=[spec])
            options = inference.Config(path + ".json", path + ".pdiparams")
            options.disable_glog_info()
            return inference.create_predictor(options)


class PaddleInferencePlain(PaddleInference):
    """The module without a weight and a bias."""

    conventions = dataclasses.replace(PREDICTED, affine_optional=True)

    def new_layer(self, config: LayerConfig) -> PredictedLayer:
        """The module of x's rank. Raises Declined: it has a weight and a bias."""
        if config.affine:
            raise Declined("modules with a weight and a bias are those of paddle.inference")
        return super().new_layer(config)


class PredictedLayer(InferenceOnly):
    """One module, and its predictor."""

    def __init__(self, owner: PaddleInference, config: LayerConfig, module: Any) -> None:
        self.owner, self.config, self.module = owner, config, module
        self.predictor: Any = None

    def inference(self, x: Any) -> Any:
        """The predictor's result, copied out of its memory."""
        given = self.owner.given(self.config, x.numpy())
        if self.predictor is None:
            self.predictor = self.owner.predictor(self.config, self.module)
        (y,) = self.predictor.run([self.owner.paddle.to_tensor(given)])
        return y.clone()

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module._mean, self.module._variance)


class PaddleFolded(PaddleInference):
    """A convolution in pairs of channels, where their number is even; its bias is the running mean."""

    conventions = dataclasses.replace(PREDICTED, ranks=(3, 4, 5))
    #: The class of the layer before, but for the number of its spatial axes.
    before = "Conv%dD"
    biased = True

    def groups(self, channels: int) -> int:
        """In how many groups channels are convolved."""
        return pairs(channels)

    def given(self, config: LayerConfig, x: np.ndarray) -> np.ndarray:
        """The input of which the convolution makes x. Raises Declined: x that it does not compute."""
        return input_of(x, self.groups(config.channels))

    def model(self, config: LayerConfig, module: Any) -> Any:
        """The convolution, and the module, whose running mean is larger by the convolution's bias."""
        nn, channels, spatial = self.paddle.nn, config.channels, config.rank - 2
        groups = self.groups(channels)
        attribute = None if self.biased else False
        before = getattr(nn, self.before % spatial)(channels, channels, 1, groups=groups, bias_attr=attribute)
        sources, signs = mixing(channels, groups)
        weight, outputs = np.zeros(before.weight.shape, np.float32), np.arange(channels)
        rows, columns = (sources, outputs) if "Transpose" in self.before else (outputs, sources)
        weight[rows, columns % (channels // groups)] = signs.reshape(-1, *[1] * spatial)
        before.weight.set_value(weight)
        if self.biased:
            mean = module._mean.numpy()
            with np.errstate(all="ignore"):
                bias = np.where(np.isfinite(2 * mean), mean, np.zeros_like(mean))
            before.bias.set_value(bias)
            moved = new_module(self.paddle, config)
            put(moved, module.weight, module.bias, mean + bias, module._variance)
            module = moved
        return nn.Sequential(before, module)


class PaddleFoldedTransposed(PaddleFolded):
    """A transposed convolution of all channels, without a bias."""

    before = "Conv%dDTranspose"
    biased = False

    def groups(self, channels: int) -> int:
        """One group."""
        return 1


class PaddleFoldedTransposedGrouped(PaddleFoldedTransposed):
    """A transposed convolution of pairs of channels, of single ones where their number is odd."""

    def groups(self, channels: int) -> int:
        """More than one, unless there are two channels or one."""
        return pairs(channels) if channels % 2 == 0 else channels
