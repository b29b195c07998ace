"""Four cells timed by this suite and by other tools, side by side: prints one JSON line for each.

python -m tests.gpu.cross_check torch.nn cuda:0          on a GPU
python -m tests.gpu.cross_check torch.nn cpu small       small shapes, for a rehearsal
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

from bnspec.backends.harness.registry import select
from bnspec.backends.harness.targets import Target
from bnspec.backends.torch.nn import TorchNN
from bnspec.backends.worker.timed_call import Subject
from bnspec.backends.worker.timing import _last_layer, _scaled
from bnspec.benchmarks.timing.contender import Contender
from bnspec.benchmarks.timing.judge_outputs import TimedCase
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.workload import Workload

#: (shape, channel axis, dtype, pass).
CELLS = (
    ((128, 64, 56, 56), 1, "float32", "training_gradients"),
    ((128, 64, 56, 56), 1, "bfloat16", "training"),
    ((2**20, 64), 1, "float32", "training"),
    ((32, 16), 1, "float32", "inference"),
)
SMALL = (
    ((16, 64, 14, 14), 1, "float32", "training_gradients"),
    ((16, 64, 14, 14), 1, "bfloat16", "training"),
    ((4096, 64), 1, "float32", "training"),
    ((32, 16), 1, "float32", "inference"),
)


def ours(backend: str, device: str, workload: Workload) -> dict[str, Any]:
    """The host's time, the device's and the pipelined one, in microseconds."""
    (entry,) = select([backend])
    with Contender(Target(entry, device)).open() as worker:
        record, _ = measure(worker, TimedCase(workload), {"seconds": 0.3})
    if record.median_ns is None:
        return {"verdict": record.verdict, "message": record.message[:200]}
    numbers = {"host_us": record.median_ns, "device_us": record.device_ns, "pipelined_us": record.pipelined_ns}
    return {"verdict": record.verdict, **{n: None if ns is None else round(ns / 1e3, 3) for n, ns in numbers.items()}}


def others(device: str, workload: Workload) -> dict[str, Any]:
    """The same call by torch.utils.benchmark, by Triton's do_bench, and by the sum of its kernels in PyTorch's profiler."""
    import torch
    import torch.utils.benchmark

    adapter = TorchNN(device)
    header, buffers = workload.case().header()
    case = workload.case()
    live, _ = _last_layer(adapter, case, header["arrays"], buffers)
    subject = Subject(live, case, lambda factor: _scaled(header["arrays"], buffers, factor))
    inputs = subject.inputs(1.0)

    def call() -> Any:
        return subject.function(*inputs)

    for _ in range(10):
        subject.once(inputs)
    measured = torch.utils.benchmark.Timer("call()", globals={"call": call}).blocked_autorange(min_run_time=0.3)
    found: dict[str, Any] = {"torch.utils.benchmark_us": round(measured.median * 1e6, 3)}
    if device != "cpu":
        found.update(_of_triton(call))
        found["kernels_us"] = _kernels_us(torch, call)
    return found


def _of_triton(call: Callable[[], Any]) -> dict[str, Any]:
    try:
        from triton.testing import do_bench
    except ImportError as error:
        return {"do_bench": f"absent: {error}"[:100]}
    return {"do_bench_us": round(1e3 * statistics.median(do_bench(call, return_mode="all")), 3)}


def _kernels_us(torch: Any, call: Callable[[], Any], calls: int = 20) -> float:
    """The time of the device's kernels in one call."""
    kinds = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA]) as profile:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    spent = sum(e.self_device_time_total for e in profile.key_averages() if str(e.device_type).endswith("CUDA"))
    return round(spent / calls, 3)


def rows(backend: str, device: str, small: bool) -> Iterator[dict[str, Any]]:
    """A row for each cell; what fails says so."""
    for shape, axis, dtype, pass_name in SMALL if small else CELLS:
        workload = Workload("cross-check", shape, axis, dtype, pass_name)
        row: dict[str, Any] = {"workload": workload.id, "backend": backend, "device": device}
        for made in (lambda w: ours(backend, device, w), lambda w: others(device, w)):
            try:
                row.update(made(workload))
            except Exception as error:  # noqa: BLE001  # one tool's failure is not another's
                row.setdefault("errors", []).append(f"{type(error).__name__}: {error}"[:300])
        yield row


if __name__ == "__main__":
    for found in rows(sys.argv[1], sys.argv[2], sys.argv[3:] == ["small"]):
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
