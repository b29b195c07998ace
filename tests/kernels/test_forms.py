"""Kernels as they come: each form is recognised, called and judged; a wrong twin breaks the clause of its mistake."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from kernels import EXAMPLES, broken, few_cases, judged

from bnspec.errors import UsageError
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
}


#: Interpreted and compiled for each shape: a few cases of one shape.
SLOW = ("pallas_kernel.py",)


def few(name: str) -> list[Case]:
    """The cases of an example."""
    return few_cases(shapes=((5, 3),))[:4] if name in SLOW else few_cases()


#: A framework is opened twice for each: one is enough for every day.
EXAMPLES_OF_FORMS = [
    name if name == "numpy_kernel.py" else pytest.param(name, marks=pytest.mark.slow) for name in TWINS
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


def solution(folder: Path, language: str, source: str) -> Path:
    """A solution.json with one source."""
    file = folder / "solution.json"
    spec = {"language": language, "target_hardware": ["CPU"], "entry_point": "main.py::run", "dependencies": []}
    document = {"name": "mine", "definition": "batch_norm", "author": "me", "spec": spec}
    file.write_text(json.dumps({**document, "sources": [{"path": "main.py", "content": source}]}))
    return file


@pytest.mark.slow
def test_a_solution_of_flashinfer_bench_is_judged_by_its_entry_point(tmp_path: Path) -> None:
    """Its Python sources as they are; one of another language is refused with what to do."""
    source = (EXAMPLES / "torch_kernel.py").read_text()
    verdict, status = judged(solution(tmp_path, "python", source), tmp_path / "run")
    assert (verdict.grade, status) == ("A", 0), broken(verdict)
    wrong = source.replace("correction=0", "correction=1")
    assert "training.output" in broken(judged(solution(tmp_path, "python", wrong), tmp_path / "wrong")[0])
    with pytest.raises(UsageError, match="written in cuda"):
        judged(solution(tmp_path, "cuda", source), tmp_path / "none")


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_a_triton_kernel_is_interpreted_and_its_overrun_is_named(tmp_path: Path) -> None:
    """The twin's mask lets one position too many through."""
    case = few_cases(shapes=((3, 4, 5, 2),))[:1]
    assert judged(EXAMPLES / "triton_kernel.py", tmp_path / "run", case)[0].grade == "A"
    wrong, _ = judged(EXAMPLES / "triton_kernel_wrong.py", tmp_path / "wrong", case)
    assert broken(wrong) == {"contract.stays_in_its_buffers"}
    assert "writes after y" in wrong.broken[0].message
