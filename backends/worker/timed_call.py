"""The function under timing, for the timed loop and the probes: its inputs, its wait, its results by name.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from bnspec.backends.worker.execution import named_results
from bnspec.model.case import Case

Tensors = List[Any]
Named = Dict[str, Any]


class Subject:
    """A function of tensors, and the names of its results.

    Args:
        live: the built layer (or scaler, or network); case: its case, whose last step is timed.
        scaled: the case's arrays multiplied by a factor, in memory of their own.
    """

    def __init__(self, live: Any, case: Case, scaled: Callable[[float], Dict[str, np.ndarray]]) -> None:
        self.live, self.case, self.step, self.adapter = live, case, case.steps[-1], live.adapter
        self.function: Callable[..., Any] = getattr(live.subject, self.step.call.name)
        self.wait, self._scaled = self.waiting(), scaled
        self.drain: Callable[[], None] = self.adapter.instruments().drain

    def inputs(self, factor: float) -> Tensors:
        """The step's inputs, multiplied; a fit's one argument is the list of its chunks."""
        arrays = self._scaled(factor)
        tensors = [self.adapter.tensor(arrays[name]) for name in self.step.inputs]
        self.adapter.synchronize(tuple(tensors))
        return [tensors] if self.step.call.kind == "fit" else tensors

    def waiting(self) -> Callable[[Any], Any]:
        """The wait for a result, chosen beforehand, so that the common case costs nothing extra."""
        synchronize = self.adapter.synchronize
        if self.step.call.kind == "fit":  # a fit returns nothing; the fitted statistics are its result
            return lambda _: synchronize(tuple(self.live.subject.statistics()))
        if self.step.call.has_gradients and not self.case.config.affine:
            return lambda result: synchronize(tuple(t for t in result if t is not None))
        return synchronize

    def named(self, result: Any) -> Named:
        """The tensors of a result by name, without those that are None."""
        return named_results(self.step.call, result, self.live.subject)

    def arrays(self, result: Any) -> Dict[str, np.ndarray]:
        """Copies of the result's values by name."""
        return {n: np.array(self.adapter.array(t), order="C", copy=True) for n, t in self.named(result).items()}

    def bits(self, tensors: Sequence[Any]) -> List[bytes]:
        """The values of tensors as bytes."""
        flat = [t for item in tensors for t in (item if isinstance(item, (list, tuple)) else [item])]
        return [np.asarray(self.adapter.array(t)).tobytes() for t in flat]

    def timed(self, inputs: Tensors) -> Tuple[int, Any]:
        """One call: (nanoseconds until its results were ready, its result)."""
        begun = time.perf_counter_ns()
        result = self.function(*inputs)
        self.wait(result)
        return time.perf_counter_ns() - begun, result

    def once(self, inputs: Tensors) -> Any:
        """The result of one call, waited for."""
        result = self.function(*inputs)
        self.wait(result)
        return result

    def state(self) -> Mapping[str, np.ndarray]:
        """The running statistics; empty for a subject without any."""
        return {} if self.case.subject != "batch_norm" else self.live.state()
