"""Kernels as they come: each form is recognised, called and judged; a wrong twin breaks the clause of its mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels import EXAMPLES, broken, few_cases, judged

from bnspec.model.case import Case

#: Each example with the clause that its wrong twin breaks.
TWINS = {
    "numpy_kernel.py": "training.output",
    "kernelbench_model.py": "inference.output",
    "torch_kernel.py": "gradient.training_dx",
    "torch_operator.py": "running.var",
    "pallas_kernel.py": "training.output",
    "stablehlo_kernel.mlir": "inference.output",
    "onnx_model.onnxtxt": "epsilon.inside_root_in_inference",
    "solution.json": "epsilon.inside_root_in_inference",
}


#: Interpreted and compiled for each shape: a few cases of one shape.
SLOW = ("pallas_kernel.py",)


def few(name: str) -> list[Case]:
    """The cases of an example."""
    return few_cases(shapes=((5, 3),))[:4] if name in SLOW else few_cases()


#: A framework is opened twice for each: one is enough for every day.
EXAMPLES_OF_FORMS = [
    name if name in ("numpy_kernel.py", "solution.json") else pytest.param(name, marks=pytest.mark.slow)
    for name in TWINS
]


@pytest.mark.parametrize("name", EXAMPLES_OF_FORMS)
def test_an_example_conforms(name: str, tmp_path: Path) -> None:
    """Every MUST."""
    verdict, status = judged(EXAMPLES / name, tmp_path / "run", few(name))
    assert (verdict.grade in "AB", status) == (True, 0), broken(verdict)


@pytest.mark.parametrize("name", EXAMPLES_OF_FORMS)
def test_its_wrong_twin_breaks_the_clause_of_its_mistake(name: str, tmp_path: Path) -> None:
    """And the smallest case is saved."""
    verdict, status = judged(EXAMPLES / name.replace(".", "_wrong."), tmp_path / "run", few(name))
    assert (verdict.grade, status) == ("F", 1)
    assert TWINS[name] in broken(verdict)
    assert verdict.smallest is not None
    assert verdict.smallest.is_file()


def test_the_examples_are_short() -> None:
    """A reader copies them."""
    long = {f.name: n for f in EXAMPLES.iterdir() if f.is_file() and (n := len(f.read_text().splitlines())) >= 40}
    assert long == {}


@pytest.mark.slow
def test_what_autograd_hands_on_is_no_fault_of_the_kernel(tmp_path: Path) -> None:
    """The gradient of beta is dy itself where there is one value."""
    verdict, _ = judged(EXAMPLES / "torch_kernel.py", tmp_path / "run", few_cases(shapes=((1, 1),)))
    assert "purity.results_are_new" not in broken(verdict)
    assert {f.clause for f in verdict.run.findings if f.cases} >= {"purity.results_are_new"}
