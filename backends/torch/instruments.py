"""PyTorch's instruments: events, memory and graphs on CUDA, compile time, and executed operators.

Source: torch.cuda (Event, CUDAGraph, memory statistics), torch.profiler, torch._dynamo.utils.compilation_time_metrics.
"""

from __future__ import annotations

import operator
import sys
from typing import Any, Callable, Dict, Optional, Sequence

from bnspec.model.instruments import Declined, Events, Graph, Instruments, Mover, Work
from bnspec.model.vocabulary import MemoryAction

#: Operators and kernels with a smaller share of the time are omitted.
LEAST_SHARE = 0.02
#: Warm-up calls on a side stream before a graph is recorded, as PyTorch's notes on CUDA graphs require.
BEFORE_RECORDING = 3


class TorchInstruments(Instruments):
    """Instruments of PyTorch on one device; tests pass a counting stand-in for ``torch``."""

    def __init__(self, torch: Any, place: Any) -> None:
        self.torch, self.place = torch, place
        self.cuda = place.type == "cuda"
        self.buffers: Dict[int, Any] = {}

    def cache_bytes(self) -> int:
        """The second-level cache of a GPU."""
        if not self.cuda:
            return super().cache_bytes()
        return int(self.torch.cuda.get_device_properties(self.place).L2_cache_size)

    def flush(self) -> None:
        """Overwrite twice as much device memory as its cache holds."""
        if self.place.type == "cpu":
            super().flush()
            return
        size = 2 * self.cache_bytes()
        if size not in self.buffers:
            self.buffers[size] = self.torch.empty(size, dtype=self.torch.int8, device=self.place)
        self.buffers[size].zero_()

    def events(self) -> Optional[Events]:
        """CUDA events."""
        return CudaEvents(self.torch) if self.cuda else None

    def compile_ns(self) -> Optional[int]:
        """The time spent in torch.compile so far; None if it was not used."""
        if "torch._dynamo" not in sys.modules:
            return None
        metrics = self.torch._dynamo.utils.compilation_time_metrics
        frames = [name for name in metrics if name.endswith("_compile.compile_inner")]
        return round(sum(seconds for name in frames for seconds in metrics[name]) * 1e9)

    def graph(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Graph:
        """A CUDA graph. Raises Declined on other devices."""
        return CudaGraph(self.torch, function, inputs) if self.cuda else super().graph(function, inputs)

    def peak_bytes(self, call: Work) -> Optional[int]:
        """The caching allocator's peak beyond its level before the call."""
        if not self.cuda:
            return super().peak_bytes(call) if self.place.type == "cpu" else None
        cuda = self.torch.cuda
        before = int(cuda.memory_allocated(self.place))
        cuda.reset_peak_memory_stats(self.place)
        result = call()
        peak = int(cuda.max_memory_allocated(self.place))
        del result
        return max(peak - before, 0)

    def kernels(self, call: Work) -> Dict[str, float]:
        """Operators (CPU) or kernels (CUDA) with their shares of the profiled time."""
        profiler = self.torch.profiler
        kinds = profiler.ProfilerActivity
        with profiler.profile(activities=[kinds.CPU, kinds.CUDA] if self.cuda else [kinds.CPU]) as profile:
            call()
        of = operator.attrgetter("self_device_time_total" if self.cuda else "self_cpu_time_total")
        spent = {e.key: float(of(e)) for e in profile.key_averages()}
        total = sum(spent.values()) or 1.0
        shares = sorted(((ns / total, name) for name, ns in spent.items()), reverse=True)
        return {name: round(share, 3) for share, name in shares if share >= LEAST_SHARE}

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """A copy within the device's memory, or a sum of it."""
        if self.place.type == "cpu":
            return None
        source = self.torch.arange(max(size_bytes // 4, 1), dtype=self.torch.float32, device=self.place)
        target = self.torch.zeros_like(source)
        wait = getattr(self.torch, self.place.type).synchronize

        def move() -> None:
            if action == "copy":
                target.copy_(source)
            else:
                source.sum()
            wait()

        return Mover(move, lambda: bool((target == source).all()))


class CudaEvents(Events):
    """Two CUDA events on the current stream."""

    def __init__(self, torch: Any) -> None:
        self.begun, self.ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        """Record the first."""
        self.begun.record()

    def stop(self) -> None:
        """Record the second."""
        self.ended.record()

    def elapsed_ns(self) -> int:
        """Nanoseconds between them; CUDA's clock has steps of about half a microsecond."""
        self.ended.synchronize()
        return round(self.begun.elapsed_time(self.ended) * 1e6)


class CudaGraph(Graph):
    """A call recorded on copies of its inputs."""

    def __init__(self, torch: Any, function: Callable[..., Any], inputs: Sequence[Any]) -> None:
        if not all(hasattr(t, "clone") for t in inputs):
            raise Declined("graphs are recorded of calls that take tensors")
        self.inputs = [t.clone() for t in inputs]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(BEFORE_RECORDING):
                function(*self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.recorded):
            self.result = function(*self.inputs)

    def load(self, inputs: Sequence[Any]) -> None:
        """Copy the values into the recorded inputs."""
        for own, given in zip(self.inputs, inputs):
            own.copy_(given)

    def replay(self) -> Any:
        """Replay the graph; the results are the recorded tensors."""
        self.recorded.replay()
        return self.result
