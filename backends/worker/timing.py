"""Timing a case's last call inside the worker, so that no transport is in the time. In this order:

1. the steps before the last run once, untimed: they put the layer into the state in which the call starts;
2. one first call, recorded on its own (``first_ns``): a compiler works here, if it has not yet compiled this form;
3. warm-up calls, not recorded, from which the size of a block follows;
4. timed samples (``timed_loop``). They and the warm-up rotate over copies of the inputs with other values, so nothing can be
   folded into a constant. The results of one call, drawn at random while they run, are kept: the audited sample;
5. an observed call on the case's own inputs, which are new to the layer, so that a remembered answer is wrong. The state
   before and after, the results, and writes into the arguments are recorded around it;
6. on request, the probes and the memory of a call; and, where calls are queued, two more quantities under their own names: the
   time on the device's clock, and the time of a call of many that are queued and waited for once.

Samples are on the host's clock on every device, so that frameworks are compared by one quantity. The kernels that the framework
reports are asked for on their own (``kernels_of``): a profiler slows what runs after it.

Both the audited sample and the observed call are returned and judged.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from bnspec.backends.worker.devices import examine
from bnspec.backends.worker.exceptions import described
from bnspec.backends.worker.execution import _build
from bnspec.backends.worker.probes import probe
from bnspec.backends.worker.timed_call import Subject
from bnspec.backends.worker.timed_loop import (
    LONGEST_BLOCK,
    AuditedSample,
    TimedCall,
    block_size,
    clock_ns,
    clock_step_ns,
    samples_of,
)
from bnspec.contract import Adapter, LayerConfig
from bnspec.errors import Declined, UsageError
from bnspec.model.buffers import unpack
from bnspec.model.case import Case
from bnspec.model.instruments import Graph, Instruments
from bnspec.model.observation import Observation, StepResult
from bnspec.model.timing import TimingResult
from bnspec.model.vocabulary import CACHE_STATES, TIMED_MODES, Probe

#: Factors of the rotating copies: exact in every binary format, and with different statistics.
FACTORS = (0.5, -1.0, -0.5)
#: At most so many samples, at least so many, and the seconds to spend on them in between; data in the caches or not; a call, or
#: the replay of a recorded graph; whether to probe; the seed of the audited sample; channels to return, or all (None).
DEFAULTS: Dict[str, Any] = {
    "rounds": 1000, "min_rounds": 5, "seconds": 0.25, "cache": "hot", "mode": "call", "probes": False, "seed": 0,
    "channels": None,
}  # fmt: skip
#: The share of the seconds for each of the two other quantities, and their least number of calls.
QUEUED_SHARE, QUEUED_CALLS = 0.1, 5
#: At most so many calls on the device's clock: each waits behind a kernel that holds the queue.
MOST_ON_DEVICE = 30
#: Load on a device that is timed for the first time in a process, and later, before its samples; at most so many calls.
LOAD_SECONDS, LOAD_AGAIN_SECONDS, MOST_WARMUP = 0.5, 0.1, 100_000
#: The warm-up's share of the seconds, and its least number of calls: each copy once.
WARMUP_SHARE, WARMUP_CALLS = 0.1, len(FACTORS)

Reply = Tuple[Dict[str, Any], List[bytes]]


def time_case(adapter: Adapter, header: Mapping[str, Any], buffers: List[bytes], options: Mapping[str, Any]) -> Reply:
    """Time the last step of the case; never raises because of the backend.

    Args:
        options: see ``DEFAULTS``.
    Returns: {"timing": ..., "observation": ...} and the buffers of the observation. Its first step is the observed call; its
        second, where there is one, the audited sample, with the outputs of a timed call on the first of the copies. ``timing`` is a
        ``TimingResult`` as JSON-ready data; None when the case was declined or raised an error.
    """
    begun = time.perf_counter()
    case = Case.from_header(header, buffers)
    chosen = dict(DEFAULTS, **options)
    timing, results = _time(adapter, case, header["arrays"], buffers, chosen)
    results = [_cut(r, chosen["channels"], case.config) for r in results]
    observation = Observation(results[0].status, results[0].message, tuple(results), time.perf_counter() - begun)
    head, data = observation.header()
    return {"timing": None if timing is None else timing.to_json(), "observation": head}, data


def _time(
    adapter: Adapter, case: Case, specs: Mapping[str, Any], buffers: List[bytes], options: Mapping[str, Any]
) -> Tuple[Optional[TimingResult], List[StepResult]]:
    """What was timed, the observed call and the audited sample; or None, and the result that ended it."""
    live, failure = _last_layer(adapter, case, specs, buffers)
    if live is None:
        return None, [failure]
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()  # the collector skips what exists now, the framework above all, until the next timing
    gc.disable()
    try:
        return Session(live, case, specs, buffers, options).record()
    except Declined as reason:
        return None, [StepResult("declined", reason.what)]
    except UsageError:  # an error of the request, not of the backend
        raise
    except Exception as error:  # anything that the backend raises is its observation
        examine(adapter, error)
        return None, [StepResult("error", described(error))]
    finally:
        if collecting:
            gc.enable()


def _last_layer(adapter: Adapter, case: Case, specs: Mapping[str, Any], buffers: List[bytes]) -> Tuple[Any, StepResult]:
    """The layer as the last step meets it; or None, and the result of the step that ended it."""
    live: Any = None
    result = StepResult("not_run", "no layer")
    for i, step in enumerate(case.steps):
        if live is None or step.fresh:
            live, result = _build(adapter, case, specs, buffers, i)
            if live is None:
                return None, result
        if i + 1 < len(case.steps):
            result = live.perform(step, i)
            if result.status != "ok":
                return None, result
    return live, result


class Samples(NamedTuple):
    """The timed samples and the counters recorded around them; see ``TimingResult``."""

    warmup: int
    samples_ns: Tuple[int, ...]
    calls_per_sample: int
    dispatch_ns: Optional[float]
    timed_ns: int
    overhead_ns: float
    page_faults_per_call: Optional[float]


class Session:
    """One timing: the subject, its call, and the options."""

    def __init__(
        self, live: Any, case: Case, specs: Mapping[str, Any], buffers: List[bytes], options: Mapping[str, Any]
    ) -> None:
        self.live, self.step, self.options = live, case.steps[-1], options
        for name, known in (("cache", CACHE_STATES), ("mode", TIMED_MODES)):
            if options[name] not in known:
                raise UsageError(
                    "%s cannot be %r." % (name, options[name]),
                    "no such way of timing is known.",
                    "give one of " + ", ".join(known) + ".",
                )
        self.adapter: Adapter = live.adapter
        self.instruments = self.adapter.instruments()
        self.subject = Subject(live, case, lambda factor: _scaled(specs, buffers, factor))
        self.rotation = [self.subject.inputs(factor) for factor in FACTORS]

    def record(self) -> Tuple[Optional[TimingResult], List[StepResult]]:
        """All steps in order: what was timed, and the results to judge; None where the observed call failed."""
        call, compiled = self.call(), self.instruments.compile_ns()
        first_ns, _ = call.once()
        compiled_after = self.instruments.compile_ns()
        audited = AuditedSample(int(self.options["seed"]))
        sampled = self.samples(call, audited)
        median_ns, state = statistics.median(sampled.samples_ns), self.instruments.state()
        compile_ns = max(first_ns - median_ns, 0.0)
        if compiled is not None and compiled_after is not None:
            compile_ns = compiled_after - compiled
        timed = self.replayed(call) if self.options["mode"] == "graph" else audited.result
        call.result = None
        # the reply holds this call alone, and names no earlier one
        results = [dataclasses.replace(self.live.perform(self.step, 0), overwritten=())]
        if results[0].status != "ok":
            return None, results
        if timed is not None:
            results.append(StepResult("ok", "", self.subject.arrays(timed)))
        device_ns, device_resolution_ns, pipelined_ns = self.queued(call, median_ns)
        begun = time.perf_counter_ns()
        peak_bytes, probes = self.inspect(call, median_ns)
        timing = TimingResult(
            first_ns=first_ns,
            compile_ns=round(compile_ns),
            warmup=sampled.warmup,
            samples_ns=sampled.samples_ns,
            calls_per_sample=sampled.calls_per_sample,
            dispatch_ns=sampled.dispatch_ns,
            timed_ns=sampled.timed_ns,
            overhead_ns=sampled.overhead_ns,
            page_faults_per_call=sampled.page_faults_per_call,
            threads=threads(self.adapter),
            peak_bytes=peak_bytes,
            probes=probes,
            probes_ns=time.perf_counter_ns() - begun,
            shapes=tuple({n: a.shape for n, a in r.outputs.items()} for r in results),
            clock_resolution_ns=clock_step_ns(),
            device_ns=device_ns,
            device_resolution_ns=device_resolution_ns,
            pipelined_ns=pipelined_ns,
            device_state=state,
        )
        return timing, results

    def samples(self, call: TimedCall, audited: AuditedSample) -> Samples:
        """Warm-up and samples, with what can be counted around them."""
        seconds = float(self.options["seconds"])
        most = max(int(self.options["rounds"]), 1)
        least = min(max(int(self.options["min_rounds"]), 1), most)
        load = self.load_seconds()
        most_warm = MOST_WARMUP if load else max(most, WARMUP_CALLS)
        warm, _, warm_calls = samples_of(call, 1, max(WARMUP_SHARE * seconds, load), WARMUP_CALLS, most_warm)
        nothing_ns = clock_ns()
        calls = block_size(statistics.median(warm), nothing_ns, len(FACTORS)) if call.before is None else 1
        faults = page_faults()
        samples, dispatched, made = samples_of(call, calls, seconds, least, most, audited)
        return Samples(
            warmup=warm_calls,
            samples_ns=tuple(round(ns) for ns in samples),
            calls_per_sample=calls,
            dispatch_ns=statistics.median(dispatched) if dispatched else None,
            timed_ns=round(sum(warm) + calls * sum(samples)),
            overhead_ns=nothing_ns,
            page_faults_per_call=_per_call(faults, page_faults(), made),
        )

    def load_seconds(self) -> float:
        """How long a device is kept busy before it is timed, so that its clocks are up: long once, then a moment."""
        if not self.instruments.queued:
            return 0.0
        warmed, self.instruments.warmed = self.instruments.warmed, True
        return LOAD_AGAIN_SECONDS if warmed else LOAD_SECONDS

    def replayed(self, call: TimedCall) -> Any:
        """The results of a replay on the first inputs: every replay overwrites the results of the previous one."""
        while (call.made - 1) % len(FACTORS):
            call.once()
        return call.result

    def call(self) -> TimedCall:
        """The call to time: the subject itself, or a graph recorded from it; on request with the caches flushed ahead of it."""
        function, wait = self.subject.function, self.subject.wait
        graph: Optional[Graph] = None
        if self.options["mode"] == "graph":
            graph = self.instruments.graph(function, self.rotation[1])  # inputs other than the judged ones
        cold = self.options["cache"] == "cold"
        if graph is None and not cold:
            return TimedCall(function, wait, self.rotation)

        def before(inputs: Any) -> None:
            if graph is not None:
                graph.load(inputs)
            if cold:
                self.instruments.flush()
            self.instruments.drain()  # what was queued ahead of the call is not the call's

        replay = None if graph is None else graph.replay
        return TimedCall(function if replay is None else lambda *_: replay(), wait, self.rotation, before)

    def queued(self, call: TimedCall, median_ns: float) -> Tuple[Optional[float], Optional[float], Optional[float]]:
        """Where calls are queued: the time of a call on the device's clock, that clock's step, and the time of a pipelined call."""
        if not self.instruments.queued:
            return None, None, None
        share_ns = QUEUED_SHARE * 1e9 * float(self.options["seconds"])
        calls = int(min(max(share_ns / max(median_ns, 1.0), QUEUED_CALLS), LONGEST_BLOCK))
        pipelined = call.pipelined(calls) if call.before is None else None
        events = self.instruments.events()
        if events is None:
            return None, None, pipelined
        elapsed = [call.on_device(events) for _ in range(min(calls, MOST_ON_DEVICE))]
        call.result = None
        known = [ns for ns in elapsed if ns is not None]
        return statistics.median(known) if known else None, events.resolution_ns, pipelined

    def inspect(self, call: TimedCall, median_ns: float) -> Tuple[Optional[int], Mapping[Probe, str]]:
        """What takes extra time, on request: probes, and the memory of a call in bytes."""
        if not self.options["probes"]:
            return None, {}
        call.result = None
        graph = self.options["mode"] == "graph"
        probes = {} if graph else probe(self.subject, self.rotation, FACTORS, median_ns)
        return self.instruments.peak_bytes(lambda: self.subject.once(self.rotation[0])), probes


def kernels_of(adapter: Adapter, header: Mapping[str, Any], buffers: List[bytes]) -> Dict[str, float]:
    """The kernels that the last step of the case runs, with their shares of the time; {} where the framework does not say."""
    instruments = adapter.instruments()
    if type(instruments).kernels is Instruments.kernels:
        return {}
    case = Case.from_header(header, buffers)
    live, _ = _last_layer(adapter, case, header["arrays"], buffers)
    if live is None:
        return {}
    try:
        subject = Subject(live, case, lambda factor: _scaled(header["arrays"], buffers, factor))
        inputs = subject.inputs(1.0)
        subject.once(inputs)
        return instruments.kernels(lambda: subject.once(inputs))
    except Exception as error:  # what cannot be called has been said by its timing
        examine(adapter, error)
        return {}


def _scaled(specs: Mapping[str, Any], buffers: List[bytes], factor: float) -> Dict[str, np.ndarray]:
    """The case's arrays in memory of their own, with the same layout; floating-point values are multiplied by the factor."""
    arrays = unpack(specs, buffers)
    for array in arrays.values():
        if array.dtype.kind in "fV" and factor != 1.0:  # bfloat16 is of kind V
            np.multiply(array, array.dtype.type(factor), out=array)
    return arrays


def _cut(result: StepResult, channels: Optional[List[int]], config: LayerConfig) -> StepResult:
    """The result, with arrays shaped like x restricted to these channels."""
    if channels is None:
        return result
    axis, most = config.channel_axis, max(channels)
    outputs = {
        n: np.take(a, channels, axis) if a.ndim == config.rank and a.ndim > 1 and a.shape[axis] > most else a
        for n, a in result.outputs.items()
    }
    return dataclasses.replace(result, outputs=outputs)


def page_faults() -> Optional[int]:
    """Minor page faults of this process so far; None if the system does not count them."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)


def _per_call(before: Optional[int], after: Optional[int], calls: int) -> Optional[float]:
    return None if before is None or after is None or calls == 0 else (after - before) / calls


def threads(adapter: Adapter) -> Optional[int]:
    """How many threads one operation may use, as the framework reports it; None where it does not."""
    reported = getattr(adapter, "threads", None)
    count = reported() if callable(reported) else None
    return int(count) if count else None
