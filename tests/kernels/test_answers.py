"""Answers to the test vectors that were computed elsewhere are judged as the vectors say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnspec.cli import main
from bnspec.conformance.vectors.answers import judge_answers
from bnspec.conformance.vectors.folder import safetensors
from bnspec.conformance.vectors.records import IS_NAN, family_document
from bnspec.conformance.vectors.table import FAMILIES
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of

FAMILY = "epsilon"


def answers(
    folder: Path, change: Callable[[str, np.ndarray], np.ndarray | None] = lambda key, a: a, family: str = FAMILY
) -> Path:
    """The exact values, rounded and changed, as somebody's answers."""
    document, arrays = family_document(family)
    found: dict[str, Any] = {}
    for vector in document["vectors"]:
        for i, call in enumerate(vector["calls"]):
            for output in call["expected"]:
                if output["correction"] in (None, 1):
                    key = f"{vector['id']}/{i}/{output['output']}"
                    value = np.nan_to_num(arrays[output["value"]])
                    if output["accept"] is not None:
                        value = np.where(arrays[output["accept"]] == IS_NAN, np.nan, value)
                    with np.errstate(over="ignore"):
                        changed = change(key, value.astype(dtype_of(output["dtype"])))
                    if changed is not None:
                        found[key] = changed
    folder.mkdir(exist_ok=True)
    (folder / f"{family}.safetensors").write_bytes(safetensors(found, {}))
    return folder


def test_exact_answers_keep_every_clause(tmp_path: Path) -> None:
    """And the correction of the running variance is found, and the families that were not answered are named."""
    judged = judge_answers(answers(tmp_path / "answers"))
    assert (judged.grade, judged.correction, judged.unknown, judged.mistyped) == ("A", 1, [], {})
    assert judged.clauses
    assert set(judged.families) == {*FAMILIES} - {FAMILY}
    assert judged.unanswered > judged.answered


def test_answers_to_every_family_are_judged(tmp_path: Path) -> None:
    """Input normalization, too: an output that no clause of its vector speaks of is judged by the clause that defines it."""
    for family in FAMILIES:
        answers(tmp_path / "answers", family=family)
    judged = judge_answers(tmp_path / "answers")
    assert (judged.grade, judged.unanswered, judged.families) == ("A", 0, [])
    assert {"input.fit", "input.transform", "input.inverse"} <= set(judged.clauses)


def test_arrays_of_another_dtype_or_name_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An infinite error alone does not say what is wrong, and a name that is misspelt is no answer."""
    wide = answers(tmp_path / "wide", lambda key, a: a.astype(np.float64) if key.endswith("/y") else a)
    assert main(["vectors", "judge", str(wide)]) == 1
    assert "has dtype float64, expected float32" in " ".join(capsys.readouterr().out.split())
    path = wide / f"{FAMILY}.safetensors"
    path.write_bytes(path.read_bytes().replace(b"/0/dx", b"/0/Dx"))
    assert all(key.startswith(f"{FAMILY}.safetensors: ") and "/0/Dx" in key for key in judge_answers(wide).unknown)
    assert judge_answers(wide).unknown


def test_wrong_answers_break_clauses_and_missing_ones_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One document, exit status 1."""
    wrong = answers(tmp_path / "wrong", lambda key, a: None if key.endswith("dx") else a * a.dtype.type(1.01))
    assert main(["vectors", "judge", str(wrong), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["grade"] == "F"
    assert document["unanswered"] > 0
    broken = {c["clause"] for c in document["clauses"] if c["failures"]}
    assert "epsilon.inside_root_in_training" in broken


def test_a_wrong_output_breaks_the_clauses_that_speak_of_it(tmp_path: Path) -> None:
    """And no other one of its vectors; one that none of them speaks of is judged by the clause that defines it."""
    wrong = answers(tmp_path / "wrong", lambda key, a: a * a.dtype.type(1.01) if key.endswith("running_var") else a)
    broken = judge_answers(wrong).broken("MUST")
    assert "running.var" in broken
    assert {c.partition(".")[0] for c in broken} <= {
        "running",
        "inference",
        "layout",
        "degenerate",
        "special",
        "epsilon",
    }
    assert not {"epsilon.inside_root_in_training", "training.output", "affine.per_channel"} & set(broken)


@pytest.mark.parametrize("words", [["frob"], ["judge"], ["judge", "a", "b"], ["judge", "a", "--out", "b"]])
def test_a_call_that_is_none_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With its reason and a call that is one."""
    assert main(["vectors", *words]) == 2
    said = capsys.readouterr().err
    assert "Why:" in said
    assert "Fix:" in said


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 8, (9).to_bytes(8, "little") + b"{}", (4).to_bytes(8, "little") + b"[1,2",
     b"\x45" + bytes(7) + b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4]}}       ' + bytes(4),
     b"\x3e" + bytes(7) + b'{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}         ' + bytes(4)],
)  # fmt: skip
def test_a_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    """Nothing is allocated for what a header claims."""
    (tmp_path / f"{FAMILY}.safetensors").write_bytes(content)
    with pytest.raises(UsageError) as refused:
        judge_answers(tmp_path)
    assert refused.value.fix


def test_an_empty_folder_holds_no_answers(tmp_path: Path) -> None:
    """Which is not the same as right ones."""
    with pytest.raises(UsageError, match="holds no answers"):
        judge_answers(tmp_path)
