"""The regression corpus: replayed first, extended by runs, rejected if invalid."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.corpus import BYTES_AT_MOST, add, built_in, distinct, read_corpus
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.errors import UsageError
from bnspec.model.case import Case

WRONG = "example_adapters:Wrong"


def small(seed: int) -> Case:
    """A small case."""
    return batch_norm_case(Plan(Form((2, 3), 1), seed=seed, short=True))


def test_a_corpus_gives_back_what_was_added_once(tmp_path: Path) -> None:
    """By id, and marked with the file that it came from."""
    folder = tmp_path / "found"
    assert add(folder, [small(1), small(2), small(1)]) == 2
    assert add(folder, [small(2), small(3)]) == 1
    read = read_corpus(folder)
    assert sorted(c.id for c in read) == sorted(small(k).id for k in (1, 2, 3))
    assert all(c.origin["corpus"] == f"{c.id}.json" for c in read)


def test_a_folder_that_does_not_exist_yet_is_an_empty_corpus(tmp_path: Path) -> None:
    """It is made when something is found."""
    assert read_corpus(tmp_path / "none") == []
    assert read_corpus(None) == []


def test_an_invalid_corpus_is_rejected(tmp_path: Path) -> None:
    """A file in the folder's place, and a file in it that is no case; what, why and fix."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder"):
        read_corpus(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.json").write_text("{}")
    with pytest.raises(UsageError, match="is not a saved case"):
        read_corpus(tmp_path / "folder")


def test_large_cases_are_not_kept(tmp_path: Path) -> None:
    """The corpus is read before every run."""
    large = batch_norm_case(Plan(Form((BYTES_AT_MOST // 16, 2), 1), seed=1, short=True))
    assert add(tmp_path, [large]) == 0


def test_the_corpus_comes_before_the_catalogue_and_no_case_twice() -> None:
    """The suite's own cases, the user's, then the constructed ones."""
    mine = small(4)
    stream = cases_of("quick", 1, corpus=[mine])
    first = [next(stream) for _ in range(len(built_in()) + 2)]
    assert [c.id for c in first[: len(built_in())]] == [c.id for c in built_in()]
    assert first[len(built_in())].id == mine.id
    assert [c.id for c in distinct([mine, mine])] == [mine.id]


def test_the_smallest_case_of_a_deviation_joins_the_corpus(tmp_path: Path, example_adapters_on_path: None) -> None:
    """And the next run replays it first."""
    folder = tmp_path / "found"
    asked = VerifyRequest([WRONG], ["cpu"], ["epsilon.inside_root_in_training"], out=tmp_path / "run", corpus=folder)
    run, status = verify(asked, "test", quiet=True)
    assert status == 1
    assert len(read_corpus(folder)) == 1
    assert read_corpus(folder)[0].id in (run.findings[0].shrunk or "")
