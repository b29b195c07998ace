"""A whole benchmark run as records, made up: contenders, workloads and processes, with roofs, comparisons and every verdict."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator

from bnspec.reports.run.records import Comparison, Record, Roof, Timing, contender, workload_id

#: Backend, conditions, nanoseconds of a call's constant costs, bytes per nanosecond, worst error / bound.
CONTENDERS: tuple[tuple[str, dict[str, str | int], float, float, float], ...] = (
    ("torch.nn", {}, 9e3, 9.0, 0.31),
    ("torch.nn", {"threads": 1}, 7e3, 5.0, 0.31),
    ("jax.numpy", {}, 2.5e4, 7.0, 0.08),
    ("flax.nnx", {}, 6e4, 6.8, 0.09),
    ("tensorflow.fused", {}, 1.2e5, 8.5, 0.72),
    ("keras.torch", {}, 4e4, 4.0, 0.5),
    ("numpy", {}, 3e4, 0.9, 0.004),
)
#: Pass, shape, channel axis, dtype, scan.
WORKLOADS = (
    *(("training", (n, 64), 1, "float32", "count") for n in (64, 512, 4096, 32768)),
    *(("training", (1024, c), 1, "float32", "channels") for c in (16, 128, 1024)),
    *(
        (p, shape, 1, "float32", "")
        for p in ("inference", "training_gradients")
        for shape in ((32, 16), (4096, 64), (16, 64, 28, 28))
    ),
    ("training", (16, 64, 28, 28), 1, "bfloat16", ""),
)
BASELINE, REJECTED, DEVIATING = "torch.nn", "keras.torch", "tensorflow.fused"


def benchmark_records(processes: int = 4, samples: int = 30, seed: int = 1) -> list[Record]:
    """The records: every contender on every workload in so many processes.

    One contender is rejected by a probe on one workload, one deviates on another, one is impossibly fast and one
    declines the half precision.
    """
    rng = random.Random(seed)
    timings = [
        _timing(rng, contender, work, process, samples)
        for process in range(processes)
        for work in WORKLOADS
        for contender in CONTENDERS
    ]
    return [*_roofs(processes), *timings, *_comparisons(rng, timings)]


def _timing(
    rng: random.Random,
    contender: tuple[str, dict[str, str | int], float, float, float],
    work: tuple[str, tuple[int, ...], int, str, str],
    process: int,
    samples: int,
) -> Timing:
    backend, conditions, constant, speed, ratio = contender
    pass_name, shape, axis, dtype, scan = work
    common = (backend, "cpu", pass_name, shape, dtype, axis)
    if dtype == "bfloat16" and backend == "numpy":
        return Timing(
            *common, (), None, None, None, "declined", None, "no bfloat16 here", conditions=conditions, process=process
        )
    size = math.prod(shape) * (2 if dtype == "bfloat16" else 4)
    moved = (2 * size, size) if pass_name == "training_gradients" else (size, size)
    verdict, message, probes = "conforms", "", {"memoised": "", "input_changed": "", "no_work": ""}
    middle = constant + sum(moved) / speed * (1 + 0.04 * rng.gauss(0, 1))
    if backend == REJECTED and shape == (32768, 64):
        middle, verdict, message = 900.0, "rejected", "the probe memoised objects"
        probes["memoised"] = "the second call with other data returned the results of the first"
    elif backend == DEVIATING and dtype == "bfloat16":
        verdict, ratio, message = "deviates", 3.7, "y is beyond its bound"
    elif backend == "jax.numpy" and shape == (4096, 64) and pass_name == "inference":
        middle = sum(moved) / 60.0
    taken = tuple(
        int(middle * (1 + abs(rng.gauss(0, 0.03)) + (0.6 if rng.random() < 0.03 else 0))) for _ in range(samples)
    )
    median = statistics.median(taken)
    return Timing(
        *common, taken, median, int(median * 40 + 2e6), None if backend == "numpy" else 2, verdict,
        ratio * (1 - 0.3 * rng.random()) if verdict == "conforms" else ratio, message,
        workload="made up", scans=(scan,) if scan else (), conditions=conditions, process=process, import_ns=1_500_000_000,
        compile_ns=int(3e8) if backend in ("jax.numpy", "flax.nnx") else None, dispatch_ns=constant / 3,
        page_faults_per_call=size / 4096 if size > 2**20 else 0.0, peak_bytes=2 * size, probes=probes, moved_bytes=moved,
    )  # fmt: skip


def _roofs(processes: int) -> Iterator[Roof]:
    sizes = tuple(2**e for e in range(12, 28, 2))
    for process in range(processes):
        for threads in (1, 2):
            for action in ("copy", "read"):
                speeds = tuple(threads**0.8 * (9e9 if s > 2**23 else 24e9 if s > 2**15 else 14e9) for s in sizes)
                yield Roof("cpu", action, threads, process, sizes, speeds)


def _comparisons(rng: random.Random, timings: list[Timing]) -> Iterator[Comparison]:
    medians: dict[tuple[str, str], list[float]] = {}
    for t in timings:
        if t.median_ns:
            medians.setdefault((workload_id(t), contender(t)), []).append(t.median_ns)
    for (workload, name), found in medians.items():
        baseline = medians[workload, f"{BASELINE}@cpu"]
        if name == f"{BASELINE}@cpu":
            continue
        ratio = statistics.median(found) / statistics.median(baseline)
        low, high = ratio * 0.93, ratio * 1.08
        verdict = "FASTER" if high < 1 else "SLOWER" if low > 1 else rng.choice(["SAME", "AMBIGUOUS"])
        more = 0 if verdict != "AMBIGUOUS" else rng.choice([None, 1, 7])
        q = rng.random() * 0.04
        yield Comparison(workload, f"{BASELINE}@cpu", name, len(found), ratio, low, high, q, verdict, more, 1.06)
