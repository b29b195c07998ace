"""Prints the table of the bounds' soundness and tightness; exit status 1 where a bound is unsound or loose.

python -m bnspec.conformance.selftest.soundness
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from bnspec.conformance.selftest.soundness.algorithms import ALGORITHMS
from bnspec.conformance.selftest.soundness.experiment import BoundExperiment, experiments
from bnspec.conformance.selftest.soundness.record import NEAR, NEAR_GOOD, SMALL, SOUND, Record
from bnspec.model.conventions import DTYPES
from bnspec.oracle.oracle import TIERS

KAPPAS = (0.0, 1.0, 1e2, 1e4, 1e6)
SMALL_COUNTS = (1, 2, 3, 4, 7, 16, 33, 64)


def every_experiment() -> Iterator[BoundExperiment]:
    """Small counts in full, larger ones more sparsely."""
    yield from experiments(DTYPES, KAPPAS, SMALL_COUNTS, seeds=1)
    yield from experiments(("float32",), KAPPAS, SMALL_COUNTS, seeds=2)
    yield from experiments(("float32", "float64"), KAPPAS, (200, 1000), seeds=1, each=2)
    yield from experiments(("float32", "bfloat16"), (1.0, 1e4), (10_000,), seeds=1, each=1)


def table(record: Record) -> Iterator[str]:
    """The lines of the report."""
    yield f"{'':22}{'largest error / bound, tier':^36}{f'best, count <= {SMALL}':^58}{'median':>7}"
    yield f"{'output':22}{'lenient':>12}{'permissive':>12}{'good':>12}  {'permissive':<56}{'good':>7}"
    for output in record.outputs:
        worst = "".join(f"{record.by_output[t, output][0]:12.3f}" for t in TIERS)
        ratio, algorithm, where = record.near[output]
        yield (
            f"{output:22}{worst}  {ratio:.3f} {algorithm[:24]}; {where:<{26}}".ljust(116)
            + f"{record.median_good(output):7.3f}"
        )
    yield ""
    yield f"{'algorithm':36}{'lenient':>12}{'permissive':>12}{'good':>12}   (in brackets: the tier does not admit it)"
    for a in ALGORITHMS:
        cells = [(record.by_algorithm.get((a.name, t), 0.0), t in a.tiers) for t in TIERS]
        yield f"{a.name:36}" + "".join(f"{r:12.3g}" if ours else f"{f'({r:.2g})':>12}" for r, ours in cells)


def main() -> int:
    """Run, print, and return the exit status."""
    start = time.monotonic()
    record = Record().run(every_experiment(), ALGORITHMS).search(ALGORITHMS, counts=(2, 3, 5), steps=12)
    violations = record.violations()
    least = min(record.near[o][0] for o in record.outputs)
    worst = {t: max(r for (tier, _), (r, *_) in record.by_output.items() if tier == t) for t in TIERS}
    lines = [*table(record), ""]
    lines.append(
        f"{len(ALGORITHMS)} algorithms, {record.experiments} cases, {record.elements:,} channels judged, {time.monotonic() - start:.0f} s"
    )
    lines.append("largest: " + ", ".join(f"{t} {r:.3f}" for t, r in worst.items()) + f" (sound: at most {SOUND:g})")
    lines.append(f"least best permissive at small counts: {least:.3f} (tight: at least {NEAR:g})")
    lines.append(
        f"least median good: {min(map(record.median_good, record.outputs)):.3f} (tight: at least {NEAR_GOOD:g})"
    )
    sys.stdout.write("\n".join([*lines, *violations]) + "\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
