"""Kernels as they come: each form is recognised, called and judged; a wrong twin breaks the clause of its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels import EXAMPLES, broken, judged

#: Each example with the clause that its wrong twin breaks.
TWINS = {
    "numpy_kernel": "training.output",
    "kernelbench_model": "inference.output",
}


@pytest.mark.parametrize("name", TWINS)
def test_an_example_conforms(name: str, tmp_path: Path) -> None:
    """Every MUST."""
    verdict, status = judged(EXAMPLES / f"{name}.py", tmp_path / "run")
    assert (verdict.grade in "AB", status) == (True, 0), broken(verdict)


@pytest.mark.parametrize("name", TWINS)
def test_its_wrong_twin_breaks_the_clause_of_its_mistake(name: str, tmp_path: Path) -> None:
    """And the smallest case is saved."""
    verdict, status = judged(EXAMPLES / f"{name}_wrong.py", tmp_path / "run")
    assert (verdict.grade, status) == ("F", 1)
    assert TWINS[name] in broken(verdict)
    assert verdict.smallest is not None
    assert verdict.smallest.is_file()


def test_the_examples_are_short() -> None:
    """A reader copies them."""
    long = {f.name: n for f in EXAMPLES.iterdir() if f.is_file() and (n := len(f.read_text().splitlines())) >= 40}
    assert long == {}
