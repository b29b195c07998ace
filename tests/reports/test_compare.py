"""Comparisons: two runs, two targets, successive releases; what changed, what it rests on, and what fails."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from every_kind import CURVE, DIFFERS
from hostile import TEXTS

from bnspec.cli import main
from bnspec.errors import UsageError
from bnspec.reports.compare.change import Change
from bnspec.reports.compare.comparison import Comparison, compare_operands, compare_runs, compare_successive
from bnspec.reports.compare.markdown import markdown, text
from bnspec.reports.compare.operands import read_operand
from bnspec.reports.compare.policy import read_policies, regressions
from bnspec.reports.run.bits import Bits, CaseBits
from bnspec.reports.run.journal import Broken, JudgedCase
from bnspec.reports.run.records import Record
from bnspec.reports.run.store import RunWriter, read_run

WriteRun = Callable[..., Path]
MUST = read_policies([])
A, B = "0123456789ab", "ba9876543210"


def kinds(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Every change in three words."""
    return [(c.kind, c.what, c.direction) for _, c in comparison.changes]


@pytest.fixture
def judged(tmp_path: Path, sample: Any) -> Callable[..., Path]:
    """Writes a run in which a clause was judged on two cases: the ids of those that it breaks are given."""

    def write(name: str, *broken: str, backend: str = "alpha", cases: tuple[str, ...] = (A, B)) -> Path:
        with RunWriter.create(tmp_path / name, msgspec.structs.replace(sample.manifest, id=name)) as writer:
            path = writer.save_case(sample.small_case())
            found = sample.finding(backend, cases=len(cases))
            if broken:
                found = sample.deviation(backend, cases=len(cases), failures=len(broken), shrunk=path)
            for i, case in enumerate(cases):
                entry = JudgedCase(backend, "cpu", i, case, "ok", 0.0, kept={found.clause: 0.5})
                if case in broken:
                    said = Broken(found.clause, 2.0, sample.evidence, "y is off")
                    entry = msgspec.structs.replace(entry, kept={}, broken=(said,))
                writer.journal(entry)
            writer.write(sample.target(backend), found, sample.finished)
        return tmp_path / name

    return write


def test_a_case_that_deviates_now_is_a_regression_and_the_other_way_round_a_repair(judged: Any) -> None:
    """Counted over the cases of both, with the saved case of the side that fails."""
    good, bad = read_run(judged("good")), read_run(judged("bad", A))
    worse, better = compare_runs(good, bad), compare_runs(bad, good)
    ((_, change),) = worse.changes
    assert (change.direction, change.worse, change.before, change.after) == (
        "regression",
        1,
        "conforms in 2",
        "deviates in 1 of 2",
    )
    assert (bad.path / str(change.case)).is_file()
    assert kinds(better) == [("verdict", "training.output", "repair")]
    assert regressions(worse, MUST)
    assert not regressions(better, MUST)


def test_only_cases_of_both_count_and_the_others_are_said(judged: Any) -> None:
    """A case that was never judged before cannot have regressed."""
    found = compare_runs(read_run(judged("one", cases=(A,))), read_run(judged("two", B, cases=(A, B))))
    (pair,) = found.pairs
    assert pair.changes == ()
    assert (pair.coverage[0].both, pair.coverage[0].only_after) == (1, 1)
    assert [e.reason for e in pair.excluded] == ["not judged before"]


def test_more_cases_of_a_clause_that_failed_before_are_a_regression(judged: Any) -> None:
    """The verdict is the same, what holds is not."""
    found = compare_runs(read_run(judged("few", A)), read_run(judged("more", A, B)))
    assert kinds(found) == [("verdict", "training.output", "regression")]


def test_without_journals_equal_cases_are_compared_by_clause_and_others_not_at_all(
    write_run: WriteRun, sample: Any
) -> None:
    """Two seeds have other cases: their verdicts say nothing of a change."""
    good = read_run(write_run(sample.target("beta"), sample.finding("beta"), name="good"))
    bad = read_run(write_run(sample.target("beta"), sample.deviation("beta"), name="bad"))
    assert kinds(compare_runs(good, bad)) == [("verdict", "training.output", "regression")]
    other = msgspec.structs.replace(bad.manifest, seed=8)
    (pair,) = compare_runs(good, type(bad)(bad.path, other, bad.records)).pairs
    assert pair.changes == ()
    assert "seed" in pair.excluded[0].reason
    assert pair.sentence == "nothing could be compared"


def one_of_each(sample: Any, **changes: Any) -> list[Record]:
    """A target with a convention, a curve and bits."""
    outputs = {"y": changes.get("y", "0" * 16), "dx": "1" * 16}
    return [
        sample.target("alpha"),
        msgspec.structs.replace(DIFFERS, possible=(changes.get("correction", 0),)),
        msgspec.structs.replace(CURVE, stability_class=changes.get("stability", 1)),
        Bits("alpha", "cpu", {A: CaseBits(outputs, changes.get("ending"))}),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"y": "2" * 16}, [("bits", "y", "change")]),
        ({"correction": 1}, [("convention", "running_correction", "change")]),
        ({"stability": 2}, [("stability", "y float32 rank 2", "regression")]),
        ({"stability": 0}, [("stability", "y float32 rank 2", "repair")]),
        ({"ending": "3 error KeyError"}, [("ending", "returns → error KeyError", "change")]),
    ],
    ids=lambda v: ",".join(v) if isinstance(v, dict) else "",
)
def test_each_kind_of_change_is_told_alone(write_run: WriteRun, sample: Any, changes: Any, expected: Any) -> None:
    """And where nothing changed, nothing is said."""
    before = read_run(write_run(*one_of_each(sample), name="before"))
    after = read_run(write_run(*one_of_each(sample, **changes), name="after"))
    found = compare_runs(before, after)
    assert kinds(found) == expected
    (pair,) = found.pairs
    assert (pair.sentence == "bits changed, nothing else (y)") is ("y" in changes)


def test_bits_of_another_machine_are_not_compared(write_run: WriteRun, sample: Any) -> None:
    """It is said, and a policy that speaks of bits alone cannot pass."""
    before = read_run(write_run(*one_of_each(sample), name="before"))
    after = read_run(write_run(*one_of_each(sample, y="2" * 16), name="after"))
    moved = msgspec.structs.replace(after.manifest, machine={"cpu": "another"})
    found = compare_runs(before, type(after)(after.path, moved, after.records))
    assert kinds(found) == []
    assert "cpu" in found.pairs[0].excluded[0].reason


def test_releases_in_one_run_are_compared_each_with_the_next(write_run: WriteRun, sample: Any) -> None:
    """In the order in which the run was asked for them, whichever opened first."""
    names = [f"alpha[alpha=={n}]" for n in (1, 2, 3)]
    path = write_run(*(sample.finding(n) for n in reversed(names)), sample.finding("beta"), name="releases")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["options"]["targets"] = [f"{n}@cpu" for n in names]
    (path / "manifest.json").write_text(json.dumps(manifest))
    found = compare_successive(read_operand(str(path)))
    assert [p.pair.title for p in found.pairs] == [f"{a}@cpu → {b}@cpu" for a, b in itertools.pairwise(names)]
    pair = compare_operands(read_operand(f"{path}:{names[0]}"), read_operand(f"{path}:{names[2]}@cpu")).pairs[0].pair
    assert (pair.before[1].backend, pair.after[1].backend) == (names[0], names[2])


def test_targets_of_two_runs_are_paired_by_their_base_name(write_run: WriteRun, sample: Any) -> None:
    """What has no counterpart is named."""
    a = write_run(*(sample.finding(n) for n in ("alpha[alpha==1]", "beta", "delta")), name="a")
    b = write_run(*(sample.finding(n) for n in ("alpha[alpha==2]", "beta", "gamma")), name="b")
    found = compare_runs(read_run(a), read_run(b))
    assert sorted(p.pair.after[1].base.backend for p in found.pairs) == ["alpha", "beta"]
    assert (found.only_before, found.only_after) == (("delta@cpu",), ("gamma@cpu",))


def test_a_target_that_no_longer_opens_is_a_regression(write_run: WriteRun, sample: Any) -> None:
    """Its clauses are unavailable, which no verdict says."""
    before = read_run(write_run(sample.target("alpha"), sample.finding("alpha"), name="before"))
    after = read_run(write_run(sample.target("alpha", status="broken", reason="no symbol"), name="after"))
    assert regressions(compare_runs(before, after), MUST)


@pytest.mark.parametrize("words", [["mustard"], ["slower"], ["slower:0.5"], ["slower:x"], ["bits:2"]])
def test_a_policy_that_is_none_is_refused(words: list[str]) -> None:
    """With the words that there are."""
    with pytest.raises(UsageError, match="policy"):
        read_policies(words)


def test_the_command_ends_with_one_on_a_regression_and_three_where_a_policy_had_nothing_to_look_at(
    judged: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy that could not have failed must not look green."""
    good, bad = str(judged("good")), str(judged("bad", A))
    assert main(["compare", good, bad]) == 1
    said = " ".join(capsys.readouterr().out.split())
    for word in ("1 regression", "training.output", "conforms in 2", "deviates in 1 of 2", "cases/", "in both"):
        assert word in said
    assert main(["compare", bad, good]) == 0
    assert main(["compare", good, bad, "--fail-on", "slower:1.2"]) == 3
    assert main(["compare", good, bad, "--json"]) == 1
    document = json.loads(capsys.readouterr().out.split("speaks of", 1)[1].strip())
    assert document["regressions"][0]["what"] == "training.output"
    assert main(["compare", good, bad, "--markdown"]) == 1
    assert "| worse | MUST verdict training.output |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["nowhere", "{good}"], ["{good}:gamma", "{good}"], ["{good}"], ["{good}", "{good}", "--json", "--markdown"]],
)
def test_a_wrong_call_is_refused(words: list[str], judged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 with what, why and fix."""
    good = str(judged("good"))
    assert main(["compare", *(w.format(good=good) for w in words)]) == 2
    assert "Fix:" in capsys.readouterr().err


def test_text_of_a_stranger_is_no_markup() -> None:
    """Neither HTML, nor a table's cell, nor a mention of anybody."""
    for hostile in (*TEXTS, "a | b", "@someone #1", "<img src=x>", "[x](javascript:y)"):
        said = text(hostile)
        assert "\n" not in said
        assert "<" not in said
        assert "|" not in said.replace("\\|", "")
        assert "](" not in said


def test_markdown_counts_what_it_leaves_out(judged: Any) -> None:
    """A pull request shows the first changes."""
    found = compare_runs(read_run(judged("good")), read_run(judged("bad", A)))
    (pair,) = found.pairs
    many = tuple(Change(kind="bits", what=f"y{i}", direction="change", before="", after="1") for i in range(50))
    crowded = type(found)((type(pair)(pair.pair, many, pair.coverage, pair.excluded),))
    assert "and 10 more" in markdown(crowded, MUST)
