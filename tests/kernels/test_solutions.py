"""Solutions of FlashInfer-Bench: read as their format says, unpacked into a folder of their own, imported or built, and judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kernels import EXAMPLES, broken, few_cases, judged

from bnspec.backends.kernels.harness.recognise import recognise
from bnspec.errors import UsageError

CPP = json.loads((EXAMPLES / "tvm_ffi_solution.json").read_text())["sources"][0]["content"]


def document(**spec: Any) -> dict[str, Any]:
    """A solution in Python whose entry point imports another of its files."""
    source = json.loads((EXAMPLES / "solution.json").read_text())["sources"][0]["content"]
    usual = {"language": "python", "target_hardware": ["cpu"], "entry_point": "main.py::run", "dependencies": []}
    sources = [
        {"path": "main.py", "content": "from .sub.other import run\n"},
        {"path": "sub/other.py", "content": source},
    ]
    return {"name": "mine", "definition": "bn", "author": "me", "spec": {**usual, **spec}, "sources": sources}


def written(folder: Path, data: Any) -> Path:
    """A solution.json."""
    file = folder / "solution.json"
    file.write_text(json.dumps(data))
    return file


def test_sources_import_each_other_as_a_package(tmp_path: Path) -> None:
    """As FlashInfer-Bench imports them."""
    verdict, status = judged(written(tmp_path, document()), tmp_path / "run", few_cases()[:2])
    assert (verdict.grade, status) == ("A", 0), broken(verdict)


def test_a_passing_style_that_the_function_does_not_have_is_refused(tmp_path: Path) -> None:
    """True where nothing is said."""
    with pytest.raises(UsageError, match="says that it returns its results"):
        judged(written(tmp_path, document(destination_passing_style=False)), tmp_path / "run")
    returning = document()
    returning["sources"] = [{"path": "main.py", "content": "def run(x, eps):\n    return x\n"}]
    with pytest.raises(UsageError, match="says that it writes into one"):
        judged(written(tmp_path, returning), tmp_path / "run")


@pytest.mark.parametrize(
    "path",
    ["../main.py", "/etc/main.py", "a/../../main.py", "C:\\main.py", "..\\main.py", "a\x00b", ".", "main.py/inside.py", "./main.py", "sub"],
)  # fmt: skip
def test_a_source_outside_of_its_folder_or_in_anothers_place_is_refused(path: str, tmp_path: Path) -> None:
    """Before anything is written."""
    data = document()
    data["sources"].append({"path": path, "content": "x = 1"})
    with pytest.raises(UsageError, match=r"outside of its folder|in one place") as refused:
        recognise(str(written(tmp_path, data)))
    assert refused.value.why


@pytest.mark.parametrize("field", ["name", "definition", "author", "spec", "sources"])
def test_a_field_that_the_format_requires_is_missed(field: str, tmp_path: Path) -> None:
    """By its name."""
    data = document()
    del data[field]
    with pytest.raises(UsageError, match="is no solution.json") as refused:
        recognise(str(written(tmp_path, data)))
    assert field in refused.value.why


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"language": "cuda", "entry_point": "main.py::run"}, "is written in cuda"),
        ({"language": "tilelang"}, "is written in tilelang"),
        ({"language": "fortran"}, "is no solution.json"),
        ({"language": "cpp", "binding": "torch"}, "binding of torch"),
        ({"target_hardware": []}, "is no solution.json"),
        ({"entry_point": "main.py"}, "has the entry point"),
        ({"entry_point": "other.py::run"}, "has the entry point"),
        ({"entry_point": "main.py::run::run"}, "has the entry point"),
        ({"entry_point": "main.py::os.system"}, "has the entry point"),
        ({"destination_passing_style": "no"}, "is no solution.json"),
    ],
)
def test_what_is_not_judged_here_is_declined_with_what_to_do(spec: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Each with the parts of a message."""
    with pytest.raises(UsageError, match=words) as refused:
        recognise(str(written(tmp_path, document(**spec))))
    assert refused.value.why
    assert refused.value.fix


def cpp(source: str) -> dict[str, Any]:
    """A solution in C++."""
    data = document(language="cpp", entry_point="kernel.cpp::run")
    return {**data, "sources": [{"path": "kernel.cpp", "content": source}]}


@pytest.mark.slow
def test_cpp_is_built_by_tvm_ffi_and_its_memory_is_watched(tmp_path: Path) -> None:
    """Right, wrong, writing behind its output, and one that does not compile."""
    cases = few_cases()[:2]
    verdict, status = judged(EXAMPLES / "tvm_ffi_solution.json", tmp_path / "run", cases)
    assert (verdict.grade, status) == ("A", 0), broken(verdict)
    wrong = judged(EXAMPLES / "tvm_ffi_solution_wrong.json", tmp_path / "wrong", cases)[0]
    assert "epsilon.inside_root_in_inference" in broken(wrong)
    beyond = cpp(CPP.replace("inner; ++i) {", "inner + 1; ++i) {"))
    found = judged(written(tmp_path, beyond), tmp_path / "beyond", cases)[0]
    assert "contract.stays_in_its_buffers" in broken(found)
    with pytest.raises(UsageError, match="does not compile") as refused:
        judged(written(tmp_path, cpp(CPP.replace("double scale", "doubble scale"))), tmp_path / "none", cases)
    assert "doubble" in refused.value.why
    with pytest.raises(UsageError, match="exports no run"):
        judged(written(tmp_path, cpp(CPP.replace("(run, infer)", "(other, infer)"))), tmp_path / "none", cases)
