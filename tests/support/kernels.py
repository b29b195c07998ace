"""Kernels judged on a few cases: all that a test of a form needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.kernels.judge import JudgeRequest, judge, refuse_unjudged
from bnspec.conformance.kernels.verdict import Verdict
from bnspec.model.case import Case

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "kernels"


def few_cases(dtype: str = "float32", shapes: Sequence[tuple[int, ...]] = ((3, 4, 5, 2), (5, 3))) -> list[Case]:
    """Some ordinary and some hard batches of two shapes, channels first."""
    forms = [Form(shape, 1, dtype, dtype) for shape in shapes]
    kinds = (("wide", 0.5), ("mean_1e2", 2.0**-10))
    plans = [Plan(f, kind, epsilon=epsilon, seed=7) for f in forms for kind, epsilon in kinds]
    return [batch_norm_case(plan) for plan in plans]


def judged(thing: str | Path, out: Path, cases: Sequence[Case] | None = None) -> tuple[Verdict, int]:
    """The verdict on a kernel and the exit status, on a few cases."""
    request = JudgeRequest(str(thing), 7, jobs=1, out=out, cases=few_cases() if cases is None else cases, time=False)
    verdict = judge(request, "bnspec judge", quiet=True)
    refuse_unjudged(verdict, ())
    return verdict, verdict.status


def broken(verdict: Verdict) -> set[str]:
    """The clauses that a kernel breaks."""
    return {f.clause for f in verdict.broken}
