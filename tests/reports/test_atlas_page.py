"""What the atlas says changed with a release: one line for all backends that changed alike, and the page that begins with it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hostile import TEXTS

from bnspec.reports.atlas.atlas import FOLDER, Atlas, Package, read_atlas
from bnspec.reports.atlas.behaviours import aside, behaviours
from bnspec.reports.atlas.changes import AtlasChange, Changes, Sight
from bnspec.reports.page.atlas import atlas_page

replace = msgspec.structs.replace
SIGHT = Sight("case", "conforms", "deviates")
CLAUSES = ("inference.output", "training.output")


def change(backend: str, what: str, direction: str = "regression", kind: str = "verdict") -> AtlasChange:
    """Of one backend."""
    return AtlasChange(
        backend=backend, kind=kind, what=what, direction=direction, before="a", after="b", sights=(SIGHT,)
    )  # type: ignore[arg-type]


@pytest.fixture
def package() -> Package:
    """A package of the committed atlas with several backends, of which only the changes are made up."""
    atlas = read_atlas(Path(__file__).resolve().parents[2] / FOLDER)
    return max(atlas.packages, key=lambda p: (len(p.backends) > 1, len(p.entries)))


def with_changes(package: Package, *changes: AtlasChange) -> Package:
    """The package, in which the newest release alone changed something."""
    before, after = [e.release for e in package.entries][-2:]
    found = Changes(package=package.name, before=before, after=after, seen="2026-11-29", changes=changes)
    return Package(package.name, package.entries, {after: found})


def test_backends_that_change_alike_are_one_line(package: Package) -> None:
    """What breaks comes first; another set of changes is another line; bits are no change of behaviour."""
    one, other = package.backends[:2]
    alike = [change(b, c) for b in (one, other) for c in CLAUSES]
    (found,) = behaviours(with_changes(package, *alike, change(one, "y", "change", "bits")))
    assert (found.backends, found.worse) == ((one, other), True)
    assert found.sentence == "breaks inference.output, training.output"
    repaired = change(other, "running.var", "repair"), change(other, "ranks", "change", "convention")
    first, second = behaviours(with_changes(package, *alike, *repaired))
    assert first.backends == (one,)
    assert second.sentence.split("; ") == [found.sentence, "repairs running.var", "changes the convention ranks"]


def test_bits_alone_stand_aside(package: Package) -> None:
    """As the pair of releases."""
    made = with_changes(package, change(package.backends[0], "y", "change", "bits"))
    assert behaviours(made) == []
    assert aside(made) == [(package.entries[-2].release, package.entries[-1].release)]


def test_the_page_begins_with_what_the_newest_release_changed(package: Package) -> None:
    """Before any strip; what deviates since then is bold, and its family is framed."""
    page = atlas_page(Atlas((with_changes(package, change(package.backends[0], CLAUSES[0])),)))
    said = "<strong>breaks inference.output</strong>"
    assert page.index(said) < page.index('<table class="matrix">')
    assert page.count(" moved") >= 1
    assert "script" not in page.partition("</head>")[0]


@pytest.mark.parametrize("hostile", TEXTS[:8], ids=ascii)
def test_text_of_a_stranger_stays_text(package: Package, hostile: str) -> None:
    """A case's message or a convention's name opens no tag."""
    page = atlas_page(
        Atlas((with_changes(package, change(package.backends[0], f"<b>{hostile}", "change", "convention")),))
    )
    assert "<b>" not in page


def test_the_committed_atlas_has_a_page() -> None:
    """Every package with its newest release."""
    atlas = read_atlas(Path(__file__).resolve().parents[2] / FOLDER)
    page = atlas_page(atlas)
    assert all(f'<h2 id="{p.name}">' in page and p.entries[-1].release in page for p in atlas.packages)
