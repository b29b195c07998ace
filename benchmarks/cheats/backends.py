"""Cheating backends, which are fast because they do not do the work. Each is there to be rejected by one probe.

They are opened like any other backend, as ``bnspec.benchmarks.cheats.backends:NoSync``. What they do compute is right.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, Tuple

import numpy as np

from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec
from bnspec.contract import Gradients, Layer


class _Around(Layer):
    """A layer around an honest one; a cheat overrides what it changes."""

    def __init__(self, honest: NumpyLayer) -> None:
        self.honest = honest

    def training(self, x: Any) -> Any:
        """As the honest layer."""
        return self.honest.training(x)

    def inference(self, x: Any) -> Any:
        """As the honest layer."""
        return self.honest.inference(x)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """As the honest layer."""
        return self.honest.training_gradients(x, dy)

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """As the honest layer."""
        return self.honest.inference_gradients(x, dy)

    def state(self) -> Any:
        """As the honest layer."""
        return self.honest.state()


class _Cheat(NumpySpec):
    """An adapter that puts its own layer around the honest one."""

    around: Any = _Around

    def layer(self, *arguments: Any) -> Any:
        """The cheating layer."""
        return self.around(super().layer(*arguments))


class _Pending:
    """A result that is computed when it is read."""

    def __init__(self, compute: Any) -> None:
        self.compute, self.value = compute, None

    def settle(self) -> Any:
        """The result itself."""
        if self.value is None:
            self.value = self.compute()
        return self.value


class _Later(_Around):
    def training(self, x: Any) -> Any:
        return _Pending(lambda: self.honest.training(x))

    def inference(self, x: Any) -> Any:
        return _Pending(lambda: self.honest.inference(x))


class NoSync(_Cheat):
    """Returns at once, and its wait does not wait: the work is done while the result is being read."""

    around = _Later

    def array(self, tensor: Any) -> np.ndarray:
        """The values, computed now."""
        return np.asarray(tensor.settle() if isinstance(tensor, _Pending) else tensor)


class _Filled(_Around):
    def __init__(self, honest: NumpyLayer) -> None:
        super().__init__(honest)
        self.asked = threading.Event()
        self.wanted: Tuple[Any, Any] = None, None
        threading.Thread(target=self.work, daemon=True).start()

    def inference(self, x: Any) -> Any:
        y = np.zeros_like(x)
        self.wanted = x, y
        self.asked.set()
        return y

    def work(self) -> None:
        while True:
            self.asked.wait()
            self.asked.clear()
            time.sleep(0.001)
            x, y = self.wanted
            np.copyto(y, self.honest.inference(x))


class FilledLater(_Cheat):
    """Returns a buffer that a thread fills a millisecond later, unless another call comes first."""

    around = _Filled


class _Dead(_Around):
    def __init__(self, honest: NumpyLayer) -> None:
        super().__init__(honest)
        self.known: Dict[int, Any] = {}

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        if id(x) not in self.known:
            self.known[id(x)] = x
            return self.honest.training_gradients(x, dy)
        y = self.honest.training(x)  # the other outputs are not read
        return Gradients(y, np.empty_like(x), *(np.empty_like(s) for s in self.honest.state()))


class DeadOutput(_Cheat):
    """Leaves out the gradients that it expects to be discarded: those for inputs of earlier calls."""

    around = _Dead


class _Replaying(_Around):
    def __init__(self, honest: NumpyLayer) -> None:
        super().__init__(honest)
        self.answers: Dict[int, Tuple[Any, Any]] = {}

    def training(self, x: Any) -> Any:
        if id(x) not in self.answers:
            self.answers[id(x)] = x, self.honest.training(x)
        return self.answers[id(x)][1]

    def inference(self, x: Any) -> Any:
        if id(x) not in self.answers:
            self.answers[id(x)] = x, self.honest.inference(x)
        return self.answers[id(x)][1]


class ReplayedOutput(_Cheat):
    """Returns the earlier result for an input of an earlier call: always right in inference."""

    around = _Replaying


class _Folded(_Around):
    answer: Any = None

    def training(self, x: Any) -> Any:
        if self.answer is None:
            self.answer = self.honest.training(x)
        return self.answer

    def inference(self, x: Any) -> Any:
        if self.answer is None:
            self.answer = self.honest.inference(x)
        return self.answer


class ConstantFolding(_Cheat):
    """Treats the first input as a constant of the compiled program."""

    around = _Folded


class _Reusing(_Around):
    buffer: Any = None

    def training(self, x: Any) -> Any:
        return self.reused(self.honest.training(x))

    def inference(self, x: Any) -> Any:
        return self.reused(self.honest.inference(x))

    def reused(self, y: Any) -> Any:
        if self.buffer is None or self.buffer.shape != y.shape:
            self.buffer = np.empty_like(y)
        np.copyto(self.buffer, y)
        return self.buffer


class StaleOutput(_Cheat):
    """Writes every result into the same memory, so that an earlier result changes with a later call."""

    around = _Reusing


class _Overwriting(_Around):
    def training(self, x: Any) -> Any:
        x[...] = self.honest.training(x)
        return x.copy()

    def inference(self, x: Any) -> Any:
        x[...] = self.honest.inference(x)
        return x.copy()


class MutatedInput(_Cheat):
    """Uses its argument as working memory."""

    around = _Overwriting


class _Inferring(_Around):
    def training(self, x: Any) -> Any:
        return self.honest.inference(x)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        return self.honest.inference_gradients(x, dy)


class WrongMode(_Cheat):
    """Infers when training is called."""

    around = _Inferring


class _Moving(_Around):
    def inference(self, x: Any) -> Any:
        y = self.honest.inference(x)
        self.honest.training(x)
        return y


class WrongModeOfState(_Cheat):
    """Moves its statistics in inference."""

    around = _Moving


class _Narrow(_Around):
    def training(self, x: Any) -> Any:
        return self.honest.training(x).astype(np.float16)

    def inference(self, x: Any) -> Any:
        return self.honest.inference(x).astype(np.float16)


class ChangedDtype(_Cheat):
    """Gives half of the bits back."""

    around = _Narrow


class OtherClock(_Cheat):
    """Replaces the clock by one that runs at half the speed."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        system = time.perf_counter_ns
        time.perf_counter_ns = lambda: system() // 2
