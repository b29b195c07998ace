"""The layer BatchNorm of ncnn, on the CPU with the default options. Inference only.

    ncnn         one sample at a time, as ncnn's matrices had no batch axis until 2026
    ncnn.batch   the whole batch at once, as a matrix with a batch axis

Source: https://github.com/Tencent/ncnn/wiki/operators#batchnorm
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Callable

import numpy as np

from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Adapter, Conventions, Declined, LayerConfig, State

#: A net of one layer, by its number of channels and epsilon.
PARAM = "7767517\n2 2\nInput in 0 1 in\nBatchNorm layer 1 1 in out 0=%d 1=%r\n"
#: From x to y.
Run = Callable[[np.ndarray], np.ndarray]


class Ncnn(Adapter):
    """Nets of one layer, in float32."""

    framework = "ncnn"
    conventions = Conventions(
        momentum_weighs="none",
        epsilon_dtype="float32",
        dtypes=("float32",),
        ranks=(2, 3, 4, 5),
        channel_axes="first",
        layouts="normalised",
        mutable_tensors=False,
        affine_optional=False,
        gradient_modes=(),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import ncnn

        self.ncnn, self.thread_count = ncnn, 0

    def tensor(self, array: np.ndarray) -> np.ndarray:
        """A packed copy."""
        return array.copy(order="C")

    def use_threads(self, count: int) -> None:
        """Nets made from now on use so many threads; 0: ncnn's choice."""
        self.thread_count = count

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NetLayer:
        """The net; its .bin file holds gamma, mean, variance and beta one after the other."""
        net = self.ncnn.Net()
        net.opt.use_vulkan_compute = False
        if self.thread_count:
            net.opt.num_threads = self.thread_count
        with tempfile.TemporaryDirectory() as folder:
            binary = os.path.join(folder, "layer.bin")
            np.concatenate([gamma, running_mean, running_var, beta]).tofile(binary)
            if net.load_param_mem(PARAM % (config.channels, config.epsilon)) or net.load_model(binary):
                raise ValueError("ncnn does not load the net")
        return NetLayer(self.run(net), State(running_mean, running_var))

    def run(self, net: Any) -> Run:
        """One call of the net for each sample."""
        mat = self.ncnn.Mat
        return lambda x: np.stack([extracted(net, mat(sample)).numpy() for sample in x]) if len(x) else x.copy()


class NcnnBatch(Ncnn):
    """Nets that are given the batch."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        try:
            self.ncnn.Mat(np.zeros((1, 1), np.float32), batch_index=0)
        except TypeError as error:
            raise ImportError("this release of ncnn has no batch axis") from error

    def run(self, net: Any) -> Run:
        """One call of the net."""

        def whole(x: np.ndarray) -> np.ndarray:
            if not len(x):
                raise Declined("the batch axis of a matrix has one sample or more")
            return np.array(extracted(net, self.ncnn.Mat(x, batch_index=0)).numpy(batch_index=0))

        return whole


def extracted(net: Any, x: Any) -> Any:
    """The output matrix. x is cloned: over an array's memory it would end the process, as the layer works in place."""
    extractor = net.create_extractor()
    extractor.input("in", x.clone())
    failed, y = extractor.extract("out")
    if failed:
        raise RuntimeError("extract returned %d" % failed)
    return y


class NetLayer(InferenceOnly):
    """One net with its parameters."""

    def __init__(self, run: Run, running: State) -> None:
        self.run, self.running = run, running

    def inference(self, x: Any) -> Any:
        """The net's output."""
        return self.run(x)

    def state(self) -> State:
        """What was given."""
        return self.running
