"""How a kernel fails decides no grade and no status: what ends, hangs or raises on what it offers is F, what never returns is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from kernels import few_cases

from bnspec.backends.harness.limits import Limits
from bnspec.clauses.clause import Level
from bnspec.cli import main
from bnspec.conformance.kernels.judge import JudgeRequest, judge, refuse_unjudged, unjudged
from bnspec.conformance.kernels.verdict import Verdict, broken_of, document
from bnspec.errors import UsageError
from bnspec.reports.run.records import DeclinedCases, Finding

HEAD = """import os, signal, sys, time
import numpy as np
CALLS = []
def run(x, weight, bias, mean, var, eps, momentum, training):
    CALLS.append(x.shape)
    axes = tuple(a for a in range(x.ndim) if a != 1)
    shaped = lambda c: c.astype(float).reshape((1, -1) + (1,) * (x.ndim - 2))
    wide = x.astype(float)
    m, v = (wide.mean(axes), wide.var(axes)) if training else (mean, var)
    if training:
        mean[...] = (1 - momentum) * mean + momentum * m
        var[...] = (1 - momentum) * var + momentum * v
    y = ((wide - shaped(m)) / np.sqrt(shaped(v) + eps) * shaped(weight) + shaped(bias)).astype(x.dtype)
"""


def kernel(folder: Path, *lines: str) -> str:
    """A file with a right kernel that goes wrong by its last lines."""
    file = folder / "kernel.py"
    file.write_text(HEAD + "".join(f"    {line}\n" for line in lines))
    return str(file)


def judged(thing: str, out: Path, clauses: Sequence[str], limits: Limits | None = None) -> tuple[Verdict, int]:
    """The verdict and the exit status, of these clauses on a few cases."""
    cases = few_cases(shapes=((3, 4, 5, 2), (5, 3), (7, 2), (9, 4)))
    request = JudgeRequest(
        thing, 7, jobs=1, out=out, cases=cases, time=False, clauses=clauses, limits=limits or Limits()
    )
    verdict = judge(request, "bnspec judge", quiet=True)
    refuse_unjudged(verdict, clauses)
    return verdict, verdict.status


@pytest.mark.parametrize("changed", ["complex", "object", "[('y', x.dtype)]"])
def test_results_of_a_type_that_cannot_be_read_are_judged_and_fail(changed: str, tmp_path: Path) -> None:
    """It is an error of the kernel, and not what it does not offer."""
    verdict, status = judged(
        kernel(tmp_path, f"return y.astype({changed})"), tmp_path / "run", ["training.output", "inference.output"]
    )
    assert (verdict.grade, status) == ("F", 1)
    assert verdict.broken[0].clause == "contract.accepts"
    assert "y has dtype" in verdict.broken[0].message


ENDINGS = {
    "crashed": ("if len(CALLS) > 40: os._exit(0)", "contract.completes"),
    "timeout": ("if x.shape == (9, 4): time.sleep(60)", "contract.completes"),
    "error": ("if x.shape == (9, 4): raise ValueError('nine')", "contract.accepts"),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_cases_without_a_result_are_no_passing_grade_whatever_is_asked(how: str, tmp_path: Path) -> None:
    """They are counted, those that were never run as well, and said."""
    line, clause = ENDINGS[how]
    thing = kernel(tmp_path, line, "return y")
    verdict, status = judged(thing, tmp_path / "run", ["training.output"], Limits(case_seconds=2.0))
    assert (verdict.grade, status, verdict.broken[0].clause) == ("F", 1, clause)
    assert verdict.ended[how] > 0
    assert document(verdict)["ended"] == verdict.ended
    assert f"{verdict.ended[how]} cases" in document(verdict)["line"]


FAILURES = {
    "an exception": "raise ValueError('no')",
    "an exit": "sys.exit(7)",
    "an interrupt": "raise KeyboardInterrupt",
    "an end": "os._exit(0)",
    "a signal": "os.kill(os.getpid(), signal.SIGSEGV)",
    "an end on some": "y = y if x.ndim == 2 else os._exit(3)",
    "no return": "time.sleep(60)",
}


@pytest.mark.parametrize("how", FAILURES)
def test_what_never_returns_is_refused_alike(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 with what, why and fix, however it fails, and no run directory."""
    thing, out = kernel(tmp_path, FAILURES[how], "return y"), tmp_path / "run"
    assert main(["judge", thing, "--out", str(out), "--open-seconds", "5"]) == 2
    said = capsys.readouterr().err
    assert "Why:" in said
    assert "Fix:" in said
    assert not out.exists()


def finding(clause: str, *reasons: tuple[str, int]) -> Finding:
    """A declined finding."""
    listed = tuple(DeclinedCases(*r) for r in sorted(reasons))
    declined = sum(r.cases for r in listed)
    return Finding(clause, "f", "MUST", "k", "cpu", "declined", 0, 0, declined, None, reasons=listed)


def test_the_reason_is_what_is_said_of_the_forward_pass() -> None:
    """Gradients that are not offered are no reason why results are not judged; where gradients alone are asked, they are."""
    none = ("this kernel has no backward pass", 9)
    found = [finding("training.output", none, ("channel axis 2 of rank 3 is not supported", 2))]
    assert unjudged(found, ["training.output"]) == "channel axis 2 of rank 3 is not supported"
    assert unjudged([finding("gradient.training_dx", none)], ["gradient.training_dx"]) == none[0]


def test_what_nothing_can_be_judged_of_leaves_no_run(tmp_path: Path) -> None:
    """Its gradients are asked, and it has none."""
    with pytest.raises(UsageError, match="nothing that") as refused:
        judged(kernel(tmp_path, "return y"), tmp_path / "run", ["gradient.training_dx"])
    assert refused.value.why == "this backend computes no gradients."
    assert not (tmp_path / "run").exists()


RETURNED = {
    "'abc'": "it returned a str, and no y",
    "None": "it returned None, and no y",
    "[1, 2]": "it returned a list of 2: int, int, and no y",
    "3": "it returned an int, and no y",
    "{'foo': y}": "it returned a dict with 'foo', and what that is cannot be told.",
    "y[:1]": "it gave y of shape (1, 3, 5, 2) for x of shape (4, 3, 5, 2)",
}


@pytest.mark.parametrize("returned", RETURNED)
def test_what_is_returned_in_place_of_y_is_said(returned: str, tmp_path: Path) -> None:
    """It did not raise."""
    with pytest.raises(UsageError, match="run gives no y for any form of x") as refused:
        judged(kernel(tmp_path, f"return {returned}"), tmp_path / "run", ["training.output"])
    assert RETURNED[returned] in refused.value.why
    assert not refused.value.why.endswith("..")


def deviating(clause: str, level: Level, ratio: float, message: str = "") -> Finding:
    """A clause that deviates."""
    return Finding(clause, clause.partition(".")[0], level, "kernel", "cpu", "deviates", 1, 1, 0, ratio, message)


def test_the_first_clause_is_what_somebody_has_to_mend() -> None:
    """Writes into arguments, then y and memory, then what follows from them; the largest error alone says little."""
    listed = [
        deviating("affine.per_channel", "MUST", 1e9),
        deviating("training.finite", "MUST", 1e9),
        deviating("running.mean", "MUST", 5.0),
        deviating("training.output", "MUST", 3.0),
        deviating("accuracy.keeps_a_digit", "SHOULD", 1e12),
    ]
    assert [f.clause for f in broken_of(listed)][:2] == ["training.output", "running.mean"]
    assert broken_of(listed)[-1].level == "SHOULD"
    beside = deviating("contract.stays_in_its_buffers", "MUST", 2.0, "reads after x")
    assert broken_of([*listed, beside])[1] == beside
    assert broken_of([*listed, deviating("purity.arguments", "MUST", 2.0)])[0].clause == "purity.arguments"
