"""What the harness adds to a time: the same PyTorch call by the timed loop of a worker, and by ``torch.utils.benchmark``.

Slow, and only meaningful on a quiet machine: ``make overhead`` runs it and prints the figures.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import pytest

from bnspec.backends.worker.execution import Live
from bnspec.backends.worker.timed_call import Subject
from bnspec.backends.worker.timed_loop import TimedCall, block_size, clock_ns, samples_of
from bnspec.benchmarks.workloads.workload import Workload

pytestmark = pytest.mark.slow

#: Shapes with what they are for, and the relative difference of the medians that is allowed: 3 %, and 10 % where a call takes
#: 20 microseconds.
SHAPES = {
    "20 microseconds": ((256, 32), 0.10),
    "100 microseconds": ((4096, 64), 0.03),
    "an image": ((16, 64, 28, 28), 0.03),
}
#: Turns of both clocks, one after the other; the median of the turns' ratios counts.
TURNS, SECONDS = 81, 0.06


@pytest.mark.parametrize("pass_name", ["inference", "training"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_median_is_that_of_blocked_autorange(name: str, pass_name: str) -> None:
    """Both take the same inputs in turn, on the same layer, in the same process, and keep a result until the next one is there."""
    benchmark = pytest.importorskip("torch.utils.benchmark")
    from bnspec.backends.torch.functional import TorchFunctional

    shape, allowed = SHAPES[name]
    case = Workload("overhead", shape, 1, "float32", pass_name).case(1)
    adapter: Any = TorchFunctional("cpu")
    subject = Subject(
        Live(adapter, case, dict(case.arrays)), case, lambda f: {n: a * a.dtype.type(f) for n, a in case.arrays.items()}
    )
    rotation = [subject.inputs(factor) for factor in (0.5, -1.0, -0.5)]
    (a,), (b,), (c,) = rotation
    timer = benchmark.Timer(
        "y = f(a); y = f(b); y = f(c)",
        globals={"f": subject.function, "a": a, "b": b, "c": c},
        num_threads=adapter.threads(),
    )
    ratios, ours_ns = [], 0.0
    for _ in range(TURNS):
        call = TimedCall(subject.function, subject.wait, rotation)
        warm, _, _ = samples_of(call, 1, SECONDS / 10, 3, 1000)
        calls = block_size(statistics.median(warm), clock_ns(), len(rotation))
        samples, _, _ = samples_of(call, calls, SECONDS, 5, 10_000)
        ours_ns = statistics.median(samples)
        theirs_ns = timer.blocked_autorange(min_run_time=SECONDS).median / 3 * 1e9
        ratios.append(ours_ns / theirs_ns)
    ratio = statistics.median(ratios)
    words = f"{pass_name}, {name}: {ours_ns / 1e3:.1f} us, {100 * (ratio - 1):+.2f} % of torch.utils.benchmark"
    sys.stdout.write(f"\n{words} (turns: {min(ratios):.3f} to {max(ratios):.3f})\n")
    assert abs(ratio - 1) <= allowed
