"""Timing a case's last call, inside the worker, where no transport is in the way.

What is timed is one call of the layer, from before it until ``adapter.synchronize`` of its results has returned: dispatch,
execution and the wait for the device are in it; making tensors, reading results and freeing them are not. In this order:

1. steps before the last are performed once, untimed: they bring the layer into the state that the call meets;
2. one first call, kept apart (``first_ns``): a compiler works here, if this process has not met the form before;
3. warm-up calls, not recorded;
4. timed calls. They and the warm-up rotate over copies of the inputs with other values, so nothing can be folded into a
   constant; each call's results live until the next call has ended, as in ``y = layer(x)`` in a loop;
5. the last timed call, on the case's own inputs, which the layer has not seen before: a remembered answer is a wrong one.
   The state before and after, the results, and what was written into are observed around it and returned for judgement.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.execution import Live, _build, _describe
from bnspec.buffers import unpack
from bnspec.case import Case
from bnspec.contract import Adapter
from bnspec.errors import Declined
from bnspec.observation import Observation, StepResult

#: What the rotating copies are multiplied by: exact in every binary format, and different statistics.
FACTORS = (0.5, -1.0, -0.5)
#: At most so many timed calls, at least so many, and the seconds to spend on them in between.
DEFAULTS = {"rounds": 1000, "min_rounds": 5, "seconds": 0.25}
#: The share of the seconds that warm-up may take, and the calls it makes in any case: each copy once.
WARMUP_SHARE, WARMUP_CALLS = 0.2, len(FACTORS)

Tensors = List[Any]
Reply = Tuple[Dict[str, Any], List[bytes]]


def time_case(adapter: Adapter, header: Mapping[str, Any], buffers: List[bytes], options: Mapping[str, Any]) -> Reply:
    """Time the last step of the case; never raises for what the backend does.

    Args:
        options: "seconds" of timed calls, "rounds" (at most so many) and "min_rounds" (at least so many, whatever they
            take); see ``DEFAULTS``.
    Returns: {"timing": ..., "observation": ...} and the buffers of the observation, whose only step is the last timed
        call. ``timing`` is empty when the case was declined or raised, else it holds first_ns, warmup (calls), samples_ns,
        overhead_ns (what an empty call reads), threads and page_faults_per_call (None where unknown).
    """
    begun = time.perf_counter()
    case = Case.from_header(header, buffers)
    timing, result = _time(adapter, case, header["arrays"], buffers, dict(DEFAULTS, **options))
    observation = Observation(result.status, result.message, (result,), time.perf_counter() - begun)
    head, data = observation.header()
    return {"timing": timing if result.status == "ok" else {}, "observation": head}, data


class Stopwatch:
    """Stands in for a layer and times one of its calls until its results are there; all else passes through."""

    def __init__(self, subject: Any, call: str, synchronize: Callable[[Any], Any], affine: bool = True) -> None:
        self._subject, self._function = subject, getattr(subject, call)
        self._wait = self._waiting(call, synchronize, affine)
        self.samples_ns: List[int] = []
        setattr(self, call, self.timed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    def timed(self, *inputs: Any) -> Any:
        """The call's result; its wall time is appended to ``samples_ns``."""
        function, wait, clock = self._function, self._wait, time.perf_counter_ns
        begun = clock()
        result = function(*inputs)
        wait(result)
        ended = clock()
        self.samples_ns.append(ended - begun)
        return result

    def _waiting(self, call: str, synchronize: Callable[[Any], Any], affine: bool) -> Callable[[Any], Any]:
        """What to wait for after the call, settled beforehand: the common case costs nothing more."""
        if call == "fit":  # a fit returns nothing; what it has learnt is its result
            return lambda _: synchronize(tuple(self._subject.statistics()))
        if call.endswith("_gradients") and not affine:
            return lambda result: synchronize(tuple(t for t in result if t is not None))
        return synchronize


def _time(
    adapter: Adapter, case: Case, specs: Mapping[str, Any], buffers: List[bytes], options: Mapping[str, Any]
) -> Tuple[Dict[str, Any], StepResult]:
    """The timing record, and the result of the last timed call or of what came in its way."""
    live: Optional[Live] = None
    for i, step in enumerate(case.steps):
        if live is None or step.fresh:
            live, failure = _build(adapter, case, specs, buffers, i)
            if live is None:
                return {}, failure
        if i + 1 < len(case.steps):
            result = live.perform(step)
            if result.status != "ok":
                return {}, result
    assert live is not None  # a case has at least one step
    try:
        return _measure(live, case, _copies(adapter, case, specs, buffers), options)
    except Declined as reason:
        return {}, StepResult("declined", reason.what)
    except Exception as error:  # noqa: BLE001  # whatever the backend raises is its observation
        return {}, StepResult("error", _describe(error))


def _measure(
    live: Live, case: Case, copies: List[Tensors], options: Mapping[str, Any]
) -> Tuple[Dict[str, Any], StepResult]:
    """First call, warm-up, timed calls, and the last one observed; without garbage collection."""
    step, adapter = case.steps[-1], live.adapter
    watch = Stopwatch(live.subject, step.call, adapter.synchronize, case.config.affine)
    if step.call == "fit":
        copies = [[tensors] for tensors in copies]  # its one argument is the list of chunks
    budget_ns, clock = options["seconds"] * 1e9, time.perf_counter_ns
    most = max(int(options["rounds"]), 1)
    least = min(max(int(options["min_rounds"]), 1), most)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        kept = watch.timed(*copies[0])
        first_ns, warm = watch.samples_ns.pop(), watch.samples_ns
        begun = clock()
        while len(warm) < WARMUP_CALLS or (len(warm) < most and clock() - begun < WARMUP_SHARE * budget_ns):
            kept = watch.timed(*copies[len(warm) % len(copies)])
        samples: List[int] = []
        watch.samples_ns = samples
        faults, begun = page_faults(), clock()
        while len(samples) < most - 1 and (len(samples) < least - 1 or clock() - begun < budget_ns):
            kept = watch.timed(*copies[len(samples) % len(copies)])
        faults_per_call = _per_call(faults, page_faults(), len(samples))
        live.subject = watch  # the one call that perform makes is timed like the others
        result = live.perform(step)
        del kept
    finally:
        if collecting:
            gc.enable()
    timing = {
        "first_ns": first_ns,
        "warmup": len(warm),
        "samples_ns": list(samples),
        "overhead_ns": overhead_ns(),
        "threads": threads(adapter),
        "page_faults_per_call": faults_per_call,
    }
    return timing, result


def _copies(adapter: Adapter, case: Case, specs: Mapping[str, Any], buffers: List[bytes]) -> List[Tensors]:
    """The last step's inputs, once per factor: in memory of their own, with the same layout and other values."""
    copies = []
    for factor in FACTORS:
        arrays = unpack(specs, buffers)
        for name in dict.fromkeys(case.steps[-1].inputs):
            np.multiply(arrays[name], arrays[name].dtype.type(factor), out=arrays[name])
        copies.append([adapter.tensor(arrays[name]) for name in case.steps[-1].inputs])
    return copies


def overhead_ns(calls: int = 200) -> float:
    """What the clock and the way to the call take: the median of an empty call, timed as the others are."""
    watch = Stopwatch(_Empty(), "training", _Empty.synchronize)
    for _ in range(calls):
        watch.timed(None, None)
    return float(statistics.median(watch.samples_ns))


class _Empty:
    """A layer and an adapter that do nothing."""

    @staticmethod
    def training(*_: Any) -> None:
        """No work at all."""

    @staticmethod
    def synchronize(result: Any) -> None:
        """Nothing to wait for."""


def page_faults() -> Optional[int]:
    """Minor page faults of this process so far; None where the system does not count them."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)


def _per_call(before: Optional[int], after: Optional[int], calls: int) -> Optional[float]:
    return None if before is None or after is None or calls == 0 else (after - before) / calls


def threads(adapter: Adapter) -> Optional[int]:
    """How many threads the framework says one operation may use; None where it does not say."""
    told = getattr(adapter, "threads", None)
    count = told() if callable(told) else None
    return int(count) if count else None
