"""PyTorch's instruments: events, memory and graphs on CUDA and ROCm, compile time, and executed operators.

Whatever is made on a GPU (events, streams, graphs) belongs to the device chosen, which need not be the current one.

Source: torch.cuda (Event, CUDAGraph, memory statistics), torch.profiler, torch._dynamo.utils.compilation_time_metrics.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from typing import Any, Callable, ContextManager, Dict, Optional, Sequence

from bnspec.model.instruments import Declined, Events, Graph, Instruments, Mover, Work
from bnspec.model.vocabulary import MemoryAction

#: Operators and kernels with a smaller share of the time are omitted.
LEAST_SHARE = 0.02
#: Warm-up calls on a side stream before a graph is recorded, as PyTorch's notes on CUDA graphs require.
BEFORE_RECORDING = 3
#: Cycles for which a kernel holds the queue while a call is dispatched: about 0.5 ms at first, at most about 60 ms.
FIRST_HOLD, LONGEST_HOLD = 1_000_000, 100_000_000


class TorchInstruments(Instruments):
    """Instruments of PyTorch on one device; tests pass a counting stand-in for ``torch``."""

    def __init__(self, torch: Any, place: Any) -> None:
        self.torch, self.place = torch, place
        self.cuda = place.type == "cuda"
        self.queued = place.type != "cpu"
        self.buffers: Dict[int, Any] = {}
        self.hold_cycles = FIRST_HOLD

    def drain(self) -> None:
        """Wait for all streams of the device."""
        synchronize(self.torch, self.place)

    def cache_bytes(self) -> int:
        """The last-level cache of a GPU."""
        if not self.cuda:
            return super().cache_bytes()
        return int(self.torch.cuda.get_device_properties(self.place).L2_cache_size)

    def uuid(self) -> Optional[str]:
        """The UUID of an NVIDIA GPU."""
        if not self.cuda or getattr(getattr(self.torch, "version", None), "hip", None):
            return None
        return str(getattr(self.torch.cuda.get_device_properties(self.place), "uuid", ""))

    def memory_bytes(self) -> Optional[int]:
        """The memory of a GPU that is free now."""
        return int(self.torch.cuda.mem_get_info(self.place)[0]) if self.cuda else None

    def flush(self) -> None:
        """Overwrite twice as much device memory as its cache holds, and wait for it."""
        if self.place.type == "cpu":
            super().flush()
            return
        size = 2 * self.cache_bytes()
        if size not in self.buffers:
            self.buffers[size] = self.torch.empty(size, dtype=self.torch.int8, device=self.place)
        self.buffers[size].zero_()
        self.drain()

    def events(self) -> Optional[Events]:
        """CUDA events."""
        return CudaEvents(self) if self.cuda else None

    def there(self) -> ContextManager[Any]:
        """The device chosen as the current one."""
        if not self.cuda:
            return contextlib.nullcontext()
        place: ContextManager[Any] = self.torch.cuda.device(self.place)
        return place

    def compile_ns(self) -> Optional[int]:
        """The time spent in torch.compile so far; None if it was not used."""
        if "torch._dynamo" not in sys.modules:
            return None
        metrics = self.torch._dynamo.utils.compilation_time_metrics
        frames = [name for name in metrics if name.endswith("_compile.compile_inner")]
        return round(sum(seconds for name in frames for seconds in metrics[name]) * 1e9)

    def graph(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Graph:
        """A CUDA graph. Raises Declined on other devices."""
        return CudaGraph(self, function, inputs) if self.cuda else super().graph(function, inputs)

    def peak_bytes(self, call: Work) -> Optional[int]:
        """The caching allocator's peak beyond its level before the call; unknown with Metal, which counts no peak."""
        if self.place.type == "cpu":
            return super().peak_bytes(call)
        memory = getattr(self.torch, self.place.type)
        if not hasattr(memory, "reset_peak_memory_stats"):
            return None
        before = int(memory.memory_allocated(self.place))
        memory.reset_peak_memory_stats(self.place)
        result = call()
        peak = int(memory.max_memory_allocated(self.place))
        del result
        return max(peak - before, 0)

    def kernels(self, call: Work) -> Dict[str, float]:
        """Operators (CPU) or kernels (CUDA) with their shares of the profiled time, each counted once.

        On a GPU an operator's entry repeats the time of the kernels that it has started: only entries of the device count.
        """
        profiler = self.torch.profiler
        kinds = profiler.ProfilerActivity
        with profiler.profile(activities=[kinds.CPU, kinds.CUDA] if self.cuda else [kinds.CPU]) as profile:
            call()
        of = operator.attrgetter("self_device_time_total" if self.cuda else "self_cpu_time_total")
        spent = {e.key: float(of(e)) for e in profile.key_averages() if not self.cuda or _on_device(e)}
        total = sum(spent.values()) or 1.0
        shares = sorted(((ns / total, name) for name, ns in spent.items()), reverse=True)
        return {name: round(share, 3) for share, name in shares if share >= LEAST_SHARE}

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """A copy within the device's memory, or a sum of it."""
        if self.place.type == "cpu":
            return None
        source = self.torch.full((max(size_bytes // 4, 1),), 3.0, dtype=self.torch.float32, device=self.place)
        target = self.torch.zeros_like(source) if action == "copy" else source
        move = (lambda: target.copy_(source)) if action == "copy" else source.sum
        return Mover(move, lambda: bool((target == source).all()), self.drain)


def synchronize(torch: Any, place: Any) -> None:
    """Wait for everything that is queued on the device; a no-op on the CPU."""
    if place.type == "mps":
        torch.mps.synchronize()
    elif place.type != "cpu":
        getattr(torch, place.type).synchronize(place)


def _on_device(entry: Any) -> bool:
    """Whether a profiler's entry is of the device, and no annotation that spans others."""
    return str(entry.device_type).endswith("CUDA") and not getattr(entry, "is_user_annotation", False)


class CudaEvents(Events):
    """Two CUDA events on the device's current stream, behind a kernel that spins."""

    #: CUDA's documentation of cudaEventElapsedTime: about half a microsecond.
    resolution_ns = 500.0

    def __init__(self, instruments: TorchInstruments) -> None:
        self.owner, self.cuda = instruments, instruments.torch.cuda

    def elapsed_ns(self, dispatch: Work) -> Optional[int]:
        """Nanoseconds between the two; tried again behind a longer hold, which later calls keep."""
        while True:
            elapsed = self._try(dispatch)
            if elapsed is not None or self.owner.hold_cycles >= LONGEST_HOLD:
                return elapsed
            self.owner.hold_cycles = min(4 * self.owner.hold_cycles, LONGEST_HOLD)

    def _try(self, dispatch: Work) -> Optional[int]:
        with self.owner.there():
            begun, ended = (self.cuda.Event(enable_timing=True) for _ in range(2))
            self.cuda._sleep(self.owner.hold_cycles)
            begun.record()
            result = dispatch()
            ended.record()
            held = not begun.query()
            ended.synchronize()
            del result
            return round(begun.elapsed_time(ended) * 1e6) if held else None


class CudaGraph(Graph):
    """A call recorded on copies of its inputs, warmed up and captured on one stream of the device."""

    def __init__(self, instruments: TorchInstruments, function: Callable[..., Any], inputs: Sequence[Any]) -> None:
        if not all(hasattr(t, "clone") for t in inputs):
            raise Declined("graphs are recorded of calls that take tensors")
        self.owner, cuda = instruments, instruments.torch.cuda
        self.inputs = [t.clone() for t in inputs]
        with instruments.there():
            stream = cuda.Stream(device=instruments.place)
            stream.wait_stream(cuda.current_stream())
            with cuda.stream(stream):
                for _ in range(BEFORE_RECORDING):
                    function(*self.inputs)
            cuda.current_stream().wait_stream(stream)
            self.recorded = cuda.CUDAGraph()
            with cuda.graph(self.recorded, stream=stream):
                self.result = function(*self.inputs)

    def load(self, inputs: Sequence[Any]) -> None:
        """Copy the values into the recorded inputs."""
        for own, given in zip(self.inputs, inputs):
            own.copy_(given)

    def replay(self) -> Any:
        """Replay the graph; the results are the recorded tensors."""
        with self.owner.there():
            self.recorded.replay()
        return self.result
