"""The suite inside tests of one's own: ``check_backend``, and the package that ``bnspec new`` writes."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
import pytest
from kernels import EXAMPLES, few_cases

import bnspec
from bnspec.backends.harness.new import write_new
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.check_backend import check_backend
from bnspec.conformance.judge.collector import ANSWERS
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions

WRONG = """
from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec

class Wrong(NumpySpec):
    def layer(self, *arguments):
        return WrongLayer(*arguments)

class WrongLayer(NumpyLayer):
    def inference(self, x):
        return super().inference(x) + 1
"""


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    """An adapter whose inference is off by one."""
    (tmp_path / "wrong.py").write_text(WRONG)
    return f"{tmp_path / 'wrong.py'}:Wrong"


def test_each_clause_is_a_check_and_an_expected_failure_has_a_reason(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept clause passes, a broken one says by how much and where its case is, an expected one is an expected failure."""
    monkeypatch.setattr("bnspec.conformance.run.verify.cases_of", lambda *_: few_cases())
    expected = {"epsilon.inside_root_in_inference": "off by one, issue 12", "contract.shapes": "broken once"}
    clauses = ["inference.output", "contract.shapes", "epsilon.inside_root_in_inference", "mask.gradients"]
    checks = {str(c): c for c in check_backend(wrong, clauses=clauses, expected_failures=expected, seed=3)}
    assert set(checks) == {*clauses, *ANSWERS}
    checks["contract.accepts"]()
    with pytest.raises(
        AssertionError, match=r"MUST inference\.output: .*\n.*error / bound.*\nsmallest case: .*json; seed 3"
    ):
        checks["inference.output"]()
    with pytest.raises(pytest.xfail.Exception, match="issue 12"):
        checks["epsilon.inside_root_in_inference"]()
    with pytest.raises(AssertionError, match="expected to be broken: broken once"):
        checks["contract.shapes"]()
    with pytest.raises(unittest.SkipTest, match="no case asks it"):
        checks["mask.gradients"]()


def test_what_is_declined_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """By unittest's own exception, which pytest knows; a kernel is checked as it comes."""
    monkeypatch.setattr("bnspec.conformance.kernels.judge.cases_of", lambda *_: bare_cases())
    kernel = EXAMPLES / "numpy_kernel.py"
    check, *answers = check_backend(f"{kernel}::run", clauses=["affine.absent_is_identity"], seed=1)
    assert [str(c) for c in answers] == list(ANSWERS)
    with pytest.raises(unittest.SkipTest, match="declined: a layer without gamma and beta is not supported"):
        check()


def bare_cases() -> list[Case]:
    """A layer without gamma and beta."""
    return [batch_norm_case(Plan(Form((4, 3), 1, affine=False), "wide"))]


def test_an_expected_failure_names_a_clause_that_is_asked() -> None:
    """A misspelt one would never fail."""
    with pytest.raises(UsageError, match=r"training\.outputs is expected to fail"):
        check_backend("numpy", expected_failures={"training.outputs": "?"})


def test_a_class_inside_of_a_function_cannot_be_opened() -> None:
    """The worker imports it from its file."""

    class Inside:
        pass

    with pytest.raises(UsageError, match="process of its own"):
        check_backend(Inside)
    for other in (None, 42):
        with pytest.raises(UsageError, match="is no backend"):
            check_backend(other)  # type: ignore[arg-type]  # what a newcomer may hand over


def test_the_package_imports_the_harness_only_when_it_is_asked() -> None:
    """A worker imports ``bnspec`` too."""
    script = (
        "import bnspec, sys; assert 'numpy' not in sys.modules; bnspec.check_backend; assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        bnspec.nothing_of_this_name  # noqa: B018  # the access is what is tested


@pytest.mark.slow
def test_a_new_package_keeps_its_own_test(tmp_path: Path) -> None:
    """As it was written, without being installed; on a few clauses here."""
    write_new("my_layer", tmp_path / "package")
    test = tmp_path / "package" / "tests" / "test_my_layer.py"
    few = test.read_text().replace(
        "EXPECTED_FAILURES)", "EXPECTED_FAILURES, clauses=['training.output', 'running'], effort='device')"
    )
    assert few != test.read_text()
    test.write_text(few)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    end = subprocess.run(command, cwd=test.parents[1], capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stdout
    assert "failed" not in end.stdout


@pytest.mark.parametrize("name", ["My Layer", "1layer", "../up", "", "numpy"])
def test_a_name_that_is_no_module_is_refused(name: str, tmp_path: Path) -> None:
    """And nothing is overwritten."""
    with pytest.raises(UsageError):
        write_new(name, tmp_path / "package")
    with pytest.raises(UsageError):
        write_new("right", tmp_path)


def test_one_number_for_each_element_of_a_result() -> None:
    """At most 1 for a right one; large where epsilon is outside of the root; gradients and statistics with what they need."""
    x, dy = np.random.default_rng(2).normal(3.0, 2.0, (2, 16, 3))
    mean, var = x.mean(0), x.var(0)
    zhat = (x - mean) / np.sqrt(var + 0.5)
    right = {"y": zhat, "running_mean": 0.75 * 0 + 0.25 * mean, "running_var": 0.75 + 0.25 * var * 16 / 15}
    right["dx"] = (dy - dy.mean(0) - zhat * (dy * zhat).mean(0)) / np.sqrt(var + 0.5)
    found = bnspec.ratios(right, x, epsilon=0.5, dy=dy, decay=0.75, conventions=Conventions(running_correction=1))
    assert {n: a.shape for n, a in found.items()} == {n: a.shape for n, a in right.items()}
    assert max(np.nanmax(a) for a in found.values()) <= 1.0
    assert bnspec.ratios({"y": (x - mean) / (np.sqrt(var) + 0.5)}, x, epsilon=0.5)["y"].max() > 1e6
    with pytest.raises(UsageError, match="'dx' cannot be judged"):
        bnspec.ratios({"dx": x}, x, epsilon=0.5)
