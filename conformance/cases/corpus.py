"""The regression corpus: shrunk cases on which some implementation deviated, replayed first on every backend.

One set ships with the suite (``conformance/cases/corpus``). ``bnspec verify --corpus`` names a user's folder: its cases are
replayed first too, and a run adds the smallest case of every deviation that it finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.files import case_text, resolved
from bnspec.reports.run.store import write_atomically

#: Cases with larger files are not stored, since the corpus is read before every run.
BYTES_AT_MOST = 1 << 18


def built_in() -> list[Case]:
    """The cases that ship with the suite, by file name; none if the folder is absent (git stores no empty folders)."""
    folder = resources.files("bnspec.conformance.cases").joinpath("corpus")
    if not folder.is_dir():
        return []
    entries = sorted((e for e in folder.iterdir() if e.name.endswith(".json")), key=lambda e: e.name)
    return [_with_origin(Case.loads(e.read_text("utf-8")), e.name) for e in entries]


def read_corpus(folder: Path | None) -> list[Case]:
    """The cases of a user's folder, by file name; none if it does not exist yet.

    Raises UsageError: it is not a folder, cannot be read, or contains a file that is not a saved case.
    """
    try:
        if folder is None or not folder.exists():
            return []
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder.", "a corpus is a folder of saved cases.", "name a folder.")
        files = sorted(path for path in folder.iterdir() if path.name.endswith(".json"))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be read.", f"{error.strerror}.", "name a folder that you may read."
        ) from None
    found = []
    for path in files:
        try:
            place = resolved(path)
            found.append(_with_origin(Case.loads(case_text(place.parent, place.name)), path.name))
        except UsageError as error:
            why = f"{error.what} {error.why}"
            raise UsageError(f"{path} is not a saved case.", why, "remove it from the corpus.") from None
    return found


def distinct(cases: Iterable[Case]) -> list[Case]:
    """Each case once, in order."""
    return list({c.id: c for c in cases}.values())


def add(folder: Path, cases: Iterable[Case]) -> int:
    """Add the cases that are not in the corpus yet; returns their number. Raises UsageError: the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        have = {p.stem for p in folder.glob("*.json")}
        added = 0
        for case in distinct(cases):
            text = case.dumps()
            if case.id not in have and len(text) <= BYTES_AT_MOST:
                write_atomically(folder / f"{case.id}.json", text)
                added += 1
    except OSError as error:
        raise UsageError(f"{folder} cannot be written.", f"{error}.", "name a writable folder.") from None
    return added


def _with_origin(case: Case, name: str) -> Case:
    return case.with_(origin={**case.origin, "corpus": name})
