"""The atlas: what contradicts itself is refused, stale entries carry a banner, and the committed one holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hostile import TEXTS

import bnspec
from bnspec.clauses import VERSION
from bnspec.conformance.atlas.__main__ import sweep
from bnspec.conformance.atlas.measure import job_of
from bnspec.conformance.atlas.repros import printed, run_scripts
from bnspec.errors import UsageError
from bnspec.reports.atlas.atlas import CHANGES, FOLDER, read_atlas
from bnspec.reports.atlas.changes import AtlasChange, Changes, Sight, decode_changes, encode_changes
from bnspec.reports.atlas.entry import BackendEntry, Entry, decode_entry, encode_entry
from bnspec.reports.atlas.extract import Environment, entry_of
from bnspec.reports.atlas.page import pages
from bnspec.reports.atlas.repros import REPROS, Printed, digest_of, encode_printed, read_printed
from bnspec.reports.run.store import read_run

CLAUSE = "epsilon.inside_root_in_training"
GOOD = BackendEntry(status="ready", verdicts={CLAUSE: {"float32": (4, 0)}}, conventions={"running_correction": "0"})
BAD = BackendEntry(
    status="ready",
    verdicts={CLAUSE: {"float32": (4, 1)}},
    worst={CLAUSE: "12"},
    conventions={"running_correction": "1"},
)
ENTRY = Entry(
    package="alpha",
    release="1.0",
    python="3.11.7",
    packages={"alpha": "1.0", "numpy": "1.26.4"},
    lock="0" * 16,
    device="cpu",
    machine={"cpu": "one"},
    bnspec=bnspec.__version__,
    specification=VERSION,
    seed=1,
    effort="device",
    measured="2026-11-29",
    backends={"alpha.nn": GOOD},
)
SIGHT = Sight("case", "conforms in 1 case", "deviates in 1 of 1 cases")
CHANGE = AtlasChange(
    backend="alpha.nn",
    kind="verdict",
    what=CLAUSE,
    direction="regression",
    before="conforms in 4",
    after="deviates in 1 of 4",
    level="MUST",
    cases=1,
    case="0123456789ab",
    sights=(SIGHT,),
)
FOUND = Changes(
    package="alpha", before="1.0", after="1.10", seen="2026-11-29", changes=(CHANGE,), companions=("numpy 1 → 2",)
)
replace = msgspec.structs.replace


def later(release: str, **changes: Any) -> Entry:
    """Another release."""
    return replace(ENTRY, release=release, packages={"alpha": release}, **changes)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes an atlas of two releases and their changes; the arguments replace them."""

    def made(entries: Any = (), changes: Changes = FOUND, case: str = "0123456789ab") -> Path:
        folder = tmp_path / "atlas" / "alpha"
        (folder / "cases").mkdir(parents=True)
        for entry in entries or (ENTRY, later("1.10", backends={"alpha.nn": BAD})):
            (folder / f"{entry.release}.json").write_text(encode_entry(entry))
        (folder / f"{changes.after}{CHANGES}").write_text(encode_changes(changes))
        if case:
            (folder / "cases" / f"{case}.json").write_text("{}")
        return tmp_path / "atlas"

    return made


def test_an_atlas_is_read_in_the_order_of_releases(write: Callable[..., Path]) -> None:
    """1.10 comes after 1.9, and an entry survives its text."""
    atlas = read_atlas(write((later("1.10", backends={"alpha.nn": BAD}), ENTRY)))
    assert [e.release for e in atlas.packages[0].entries] == ["1.0", "1.10"]
    assert decode_entry(encode_entry(ENTRY), Path("x")) == ENTRY
    assert decode_changes(encode_changes(FOUND), Path("x")) == FOUND


@pytest.mark.parametrize(
    "changes",
    [
        {"before": "0.9"},
        {"changes": (replace(CHANGE, direction="repair"),)},
        {"changes": (replace(CHANGE, what="training.output"),)},
        {"changes": (replace(CHANGE, backend="alpha.other"),)},
        {"changes": (replace(CHANGE, kind="convention", what="ranks"),)},
        {"changes": (replace(CHANGE, kind="target"),)},
        {"changes": (replace(CHANGE, case="ba9876543210"),)},
        {"changes": ()},
    ],
    ids=str,
)
def test_changes_that_contradict_the_entries_are_refused(write: Callable[..., Path], changes: dict[str, Any]) -> None:
    """Releases that do not follow each other, verdicts and conventions that the entries do not have, cases that are not kept."""
    with pytest.raises(UsageError):
        read_atlas(write(changes=replace(FOUND, **changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"worst": {}},
        {"worst": {CLAUSE: "1", "training.output": "2"}, "verdicts": {CLAUSE: {"float32": (4, 0)}}},
        {"verdicts": {CLAUSE: {"float32": (4, 5)}}},
        {"declined": {"not offered": [CLAUSE]}},
        {"status": "absent", "reason": "no wheel"},
        {"status": "absent", "reason": ""},
    ],
    ids=str,
)
def test_an_entry_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    """Worst ratios without deviations, more of them than cases, verdicts of what is not there."""
    data = json.loads(encode_entry(later("1.1", backends={"alpha.nn": BAD})))
    data["backends"]["alpha.nn"].update(json.loads(json.dumps(changes)))
    with pytest.raises(UsageError, match="no entry"):
        decode_entry(json.dumps(data), Path("x"))


def test_what_was_not_seen_in_both_environments_is_no_change() -> None:
    """A sight of the same on both sides is refused, and a change has at least one."""
    with pytest.raises(ValueError, match="same"):
        Sight("case", "conforms", "conforms")
    text = encode_changes(FOUND).replace(json.dumps(json.loads(msgspec.json.encode(SIGHT)), sort_keys=True), "")
    with pytest.raises(UsageError):
        decode_changes(text, Path("x"))


def test_stale_entries_carry_a_banner(write: Callable[..., Path]) -> None:
    """Of another specification: what it says is not what it would say today."""
    entries = (replace(ENTRY, specification="1.0"), later("1.10", backends={"alpha.nn": BAD}))
    page = pages(read_atlas(write(entries)))["README.md"]
    assert "**Stale**" in page
    assert "1.0 (stale)" in page
    assert "1.10 (stale)" not in page


def test_the_pages_mark_what_changed(write: Callable[..., Path]) -> None:
    """In the strip in bold, and in the list with its case and what was seen."""
    found = pages(read_atlas(write()))
    assert "| epsilon | ✓ | **✗1** |" in found["README.md"]
    assert "alpha/cases/0123456789ab.json" in found["changes.md"]
    assert "conforms in 1 case" in found["changes.md"]


def test_a_bisection_names_the_release_between_two_entries(write: Callable[..., Path]) -> None:
    """Of the same clause, or the case that shows it, and backend, between the two releases; another one explains nothing."""
    folder = write()
    (folder / "alpha" / "bisections").mkdir()
    found = {
        "package": "alpha",
        "backend": "alpha.nn",
        "question": f"MUST {CLAUSE}",
        "last_before": "1.3",
        "first_after": "1.4",
        "monotonic": True,
        "isolation": {"sentence": "the package itself"},
    }
    file = folder / "alpha" / "bisections" / "epsilon.json"
    file.write_text(json.dumps(found))
    assert pages(read_atlas(folder))["changes.md"].count("first in 1.4; the package itself") == 2  # its row, and itself
    file.write_text(json.dumps({**found, "question": f"case {CHANGE.case}"}))
    assert pages(read_atlas(folder))["changes.md"].count("first in 1.4; the package itself") == 2
    for other in ({"first_after": "1.11"}, {"question": "case ba9876543210"}):
        file.write_text(json.dumps({**found, **other}))
        assert pages(read_atlas(folder))["changes.md"].count("first in") == 1
    file.write_text(json.dumps({**found, "first_after": None}))
    with pytest.raises(UsageError, match="no bisection"):
        read_atlas(folder)


def test_text_of_a_backend_stays_on_its_line() -> None:
    """Its message and what was seen of it; the pages escape them as Markdown of a comparison does."""
    for hostile in TEXTS[:8]:
        change = replace(CHANGE, message=hostile, after=hostile or "x", sights=(Sight("case", "a", f"b{hostile}"),))
        text = encode_changes(replace(FOUND, changes=(change,)))
        assert len(text.splitlines()) == 3
        assert not any(ord(sign) < 32 for sign in text.replace("\n", ""))


def test_an_entry_counts_cases_by_domain(write_run: Callable[..., Path], sample: Any) -> None:
    """From the journal of the run, bits and conventions with it."""
    from every_kind import BITS, DIFFERS

    run = read_run(write_run(sample.target("alpha"), DIFFERS, *BITS, name="measured"))
    environment = Environment("3.11.7", {"alpha": "1.0"}, "0" * 16)
    entry = entry_of(run, "alpha", "1.0", environment, {})
    assert entry.backends["alpha"].conventions == {"running_correction": "0"}
    assert list(entry.backends["alpha"].bits) == ["y"]


def test_the_committed_atlas_holds_and_its_pages_are_its_own() -> None:
    """Every invariant, and the pages that make atlas would write."""
    folder = Path(__file__).resolve().parents[2] / FOLDER
    for name, page in pages(read_atlas(folder)).items():
        assert (folder / name).read_text("utf-8") == page, f"{name} is out of date: make atlas"


@pytest.fixture
def scripted(write: Callable[..., Path]) -> Path:
    """An atlas with a script that printed 1 in the older release and 2 in the newer one."""
    folder = write()
    script = folder / "alpha" / REPROS / "asks.py"
    script.parent.mkdir()
    script.write_text('"""What is | one?"""\nprint(1)\n')
    printed = Printed(digest_of(script), {"1.0": "1", "1.10": "2"})
    script.with_suffix(".json").write_text(encode_printed(printed))
    return script


def test_what_scripts_print_stands_on_the_page(scripted: Path) -> None:
    """With the releases, and escaped."""
    (repro,) = read_atlas(scripted.parents[2]).packages[0].repros
    assert [(s.first, s.last, s.line) for s in repro.stretches(["1.0", "1.10"])] == [
        ("1.0", "1.0", "1"),
        ("1.10", "1.10", "2"),
    ]
    page = pages(read_atlas(scripted.parents[2]))["changes.md"]
    assert "1.0: 1<br>1.10: 2" in page
    assert r"What is \| one?" in page


@pytest.mark.parametrize(
    ("releases", "why"),
    [
        ({"1.0": "1", "2.0": "2"}, "no such release"),
        ({"1.0": "1", "1.10": "1"}, "the same in every"),
        ({}, "the same in every"),
    ],
)
def test_records_that_show_no_change_of_the_atlas_are_refused(
    scripted: Path, releases: dict[str, str], why: str
) -> None:
    """Of a release that is not in it, or the same everywhere."""
    scripted.with_suffix(".json").write_text(encode_printed(Printed(digest_of(scripted), releases)))
    with pytest.raises(UsageError, match=why):
        read_atlas(scripted.parents[2])


def test_a_script_that_was_changed_must_run_again(scripted: Path) -> None:
    """Its record is of another script; and a record without a script is none."""
    scripted.write_text('"""What is two?"""\nprint(2)\n')
    with pytest.raises(UsageError, match="was not run"):
        read_atlas(scripted.parents[2])
    scripted.unlink()
    with pytest.raises(UsageError, match="no script"):
        read_atlas(scripted.parents[2])


def test_what_a_release_printed_goes_with_its_entry(scripted: Path) -> None:
    """A record speaks of entries alone, so that a release that cannot be built any more takes its lines along."""
    jobs = [job_of(f"alpha=={release}", (), "device", 1, scripted.parent) for release in ("1.0", "1.10")]
    (scripted.parents[1] / "1.10.json").unlink()
    run_scripts(jobs, scripted.parents[1])
    assert read_printed(scripted.with_suffix(".json")).releases == {"1.0": "1"}


def test_cases_that_no_change_names_are_swept(write: Callable[..., Path]) -> None:
    """Those that changes name stay."""
    folder = write() / "alpha"
    (folder / "cases" / "ba9876543210.json").write_text("{}")
    sweep(folder)
    assert [path.stem for path in (folder / "cases").iterdir()] == ["0123456789ab"]
    read_atlas(folder.parent)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("print(1)\nprint('a  b')", "a b"),
        ("raise ValueError('of one\\ntwo')", "raises ValueError: of one"),
        ("import os\nos.kill(os.getpid(), 9)", "dies of signal 9"),
        ("pass", "nothing"),
    ],
)
def test_a_script_is_known_by_its_last_line(tmp_path: Path, text: str, line: str) -> None:
    """Or by what it raises, or by how it died."""
    script = tmp_path / "script.py"
    script.write_text(text)
    assert printed(script, sys.executable) == line


def test_a_local_build_is_a_build_of_the_release() -> None:
    """As 2.13.0+cpu."""
    assert replace(ENTRY, packages={"alpha": "1.0+cpu"}).release == "1.0"
