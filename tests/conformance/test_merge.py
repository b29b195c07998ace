"""``bnspec verify --shard`` and ``bnspec merge``: the parts together say what the whole run says."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import EFFORTS
from bnspec.conformance.cases.strategies import cases, draw, settings
from bnspec.conformance.causes.united import united
from bnspec.conformance.run.merging import merge_runs
from bnspec.conformance.run.shard import Shard
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.journal import JudgedCase, read_journal
from bnspec.reports.run.records import Finding
from bnspec.reports.run.store import Run, read_run

ROOT = Path(__file__).resolve().parents[2]
PARTS = 3


def asked(out: Path, shard: Shard | None = None, seed: int = 1) -> VerifyRequest:
    """A layer that ends its process on a few cases, and one with a planted defect."""
    backends = ["example_adapters:Aborting", "example_adapters:Wrong"]
    return VerifyRequest(backends, ["cpu"], ["epsilon", "contract.completes"], seed=seed, out=out, shard=shard)


def few_cases(effort: str, seed: int, *rest: object) -> list[Case]:
    """Some of the catalogue, and some that are drawn."""
    return [*catalogue()[::12], *draw(cases(draw(settings(), 2, seed)), 8, seed)]


def said(run: Run) -> dict[tuple[str, str], tuple[Any, ...]]:
    """By target and clause, all that a finding counts, and its worst and its smallest case."""
    return {
        (f.backend, f.clause): (
            f.verdict,
            f.cases,
            f.failures,
            f.declined,
            f.ratio,
            f.reasons,
            f.known,
            f.case,
            f.shrunk,
        )
        for f in run.findings
    }


def judged(run: Run) -> set[tuple[Any, ...]]:
    """The journal's cases with what was found."""
    entries = (e for e in read_journal(run.path) if isinstance(e, JudgedCase))
    return {
        (
            e.backend,
            e.order,
            e.case,
            e.status,
            str(e.kept),
            str(e.declined),
            str([(b.clause, b.ratio) for b in e.broken]),
        )
        for e in entries
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an undivided run, its three shards, and another seed's run."""
    folder = tmp_path_factory.mktemp("merge")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests" / "support"))
        patch.setattr("bnspec.conformance.run.verify.cases_of", few_cases)
        unhurried = dataclasses.replace(EFFORTS["quick"], shrink_seconds=60.0, cause_seconds=60.0)
        patch.setitem(EFFORTS, "quick", unhurried)  # equal on a machine that is busy
        verify(asked(folder / "whole"), "bnspec verify", quiet=True)
        verify(asked(folder / "seed-2", seed=2), "bnspec verify --seed 2", quiet=True)
        for i in range(1, PARTS + 1):
            command = f"bnspec verify --shard {i}/{PARTS} --out {folder / str(i)}"
            verify(asked(folder / str(i), Shard(i, PARTS)), command, quiet=True)
    return folder


@pytest.fixture
def copies(made: Path, tmp_path: Path) -> list[Path]:
    """The shards, to be changed."""
    return [Path(shutil.copytree(made / str(i), tmp_path / str(i))) for i in range(1, PARTS + 1)]


def test_the_merged_shards_are_the_undivided_run(made: Path, tmp_path: Path) -> None:
    """Verdict by verdict and case by case, in whatever order they are named; and each shard has its part of the cases."""
    whole = read_run(made / "whole")
    merged, status = merge_runs([made / "3", made / "1", made / "2"], tmp_path / "merged", "bnspec merge")
    assert status == 1
    assert said(merged) == said(whole)
    assert {f.verdict for f in merged.findings} >= {"conforms", "deviates", "crashed"}
    assert set(map(str, merged.incidents)) == set(map(str, whole.incidents))
    assert judged(merged) == judged(whole)
    assert {(t.backend, str(t.cases)) for t in merged.targets_finished} == {
        (t.backend, str(t.cases)) for t in whole.targets_finished
    }
    assert set(map(str, merged.targets)) == set(map(str, whole.targets))
    for i in range(1, PARTS + 1):
        entries = [e for e in read_journal(made / str(i)) if isinstance(e, JudgedCase)]
        assert {e.order % PARTS for e in entries} == {i - 1}
        assert read_run(made / str(i)).manifest.options["shard"] == f"{i}/{PARTS}"


def test_each_failing_clause_of_merged_shards_has_one_cause(made: Path, tmp_path: Path) -> None:
    """With a case that can be read."""
    merged, _ = merge_runs([made / str(i) for i in range(1, PARTS + 1)], tmp_path / "merged", "bnspec merge")
    failing = sorted((f.backend, f.clause) for f in merged.findings if f.verdict in ("deviates", "crashed"))
    assert sorted((cause.backend, c) for cause in merged.causes for c in cause.clauses) == failing
    merged_causes, causes = ([set(cause.clauses) for cause in run.causes] for run in (merged, read_run(made / "whole")))
    assert all(any(one <= other or other <= one for other in causes) for one in merged_causes), (
        "each sees its own smallest cases, and may divide what the other joins; neither mixes what the other divides"
    )
    assert all(cause.case and (merged.path / cause.case).exists() for cause in merged.causes)


def test_a_merged_run_is_read_by_every_command(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Report, findings, causes and scripts."""
    monkeypatch.chdir(tmp_path)
    out = str(tmp_path / "merged")
    assert main(["merge", *(str(made / str(i)) for i in range(1, PARTS + 1)), "--out", out]) == 1
    assert main(["report", out]) == 0
    assert main(["report", out, "--findings", "epsilon"]) == 0
    assert main(["causes", out]) == 0
    assert main(["repro", out, "--backend", "*:Wrong", "--json"]) == 0
    assert "epsilon.inside_root_in_training" in capsys.readouterr().out
    assert main(["verify", "--backend", "numpy", "--resume", out]) == 2


def test_runs_of_two_seeds_count_each_case_once(made: Path, tmp_path: Path) -> None:
    """Also where one of them is itself merged; the cases that both seeds have are counted once."""
    merged, _ = merge_runs([made / str(i) for i in range(1, PARTS + 1)], tmp_path / "merged", "bnspec merge")
    both, _ = merge_runs([made / "seed-2", merged.path], tmp_path / "both", "bnspec merge")
    ids = [
        {e.case for e in read_journal(path) if isinstance(e, JudgedCase) and e.backend == "example_adapters:Aborting"}
        for path in (made / "whole", made / "seed-2", both.path)
    ]
    assert ids[2] == ids[0] | ids[1]
    assert len(ids[0]) < len(ids[2]) < len(ids[0]) + len(ids[1])
    assert both.manifest.options["seeds"] == [1, 2]
    again, _ = merge_runs([made / "whole", made / "seed-2"], tmp_path / "again", "bnspec merge")
    assert said(again) == said(both)


Change = Callable[[list[Path]], list[Path]]


def _cut(paths: list[Path]) -> list[Path]:
    lines = (paths[1] / "records.jsonl").read_bytes().splitlines(keepends=True)
    (paths[1] / "records.jsonl").write_bytes(b"".join(lines[:-1]))
    return paths


def _without_a_line_of_the_journal(paths: list[Path]) -> list[Path]:
    lines = (paths[0] / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (paths[0] / "journal.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))
    return paths


def _of_another_effort(paths: list[Path]) -> list[Path]:
    manifest = (paths[2] / "manifest.json").read_text().replace('"effort": "quick"', '"effort": "standard"')
    (paths[2] / "manifest.json").write_text(manifest)
    return paths


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda paths: paths[:2], "3/3 of the shards is missing"),
        (lambda paths: [*paths, paths[0]], "both hold shard 1/3"),
        (lambda paths: paths[:1], "one run needs no merging"),
        (_cut, "2/3 --resume"),
        (_without_a_line_of_the_journal, "its journal lacks 1 of the cases of example_adapters:"),
        (_of_another_effort, "these differ: effort"),
    ],
    ids=["missing", "double", "one", "unfinished", "damaged", "another-call"],
)
def test_what_is_no_whole_run_is_refused(change: Change, words: str, copies: list[Path], tmp_path: Path) -> None:
    """With what, why and fix; and nothing is written."""
    with pytest.raises(UsageError) as refused:
        merge_runs(change(copies), tmp_path / "merged", "bnspec merge")
    assert words in str(refused.value)
    assert refused.value.why
    assert refused.value.fix
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "-1/3", "1/0"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    """The number is from 1 to n."""
    with pytest.raises(UsageError, match="no shard"):
        Shard.read(text)


@pytest.mark.parametrize("words", [["--shard", "4/3"], ["--shard", "1/3", "--effort", "thorough", "--minutes", "1"]])
def test_a_call_without_a_fixed_number_of_cases_has_no_shards(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, with a fix, and no directory."""
    assert main(["verify", "--backend", "numpy", *words, "--out", str(tmp_path / "run")]) == 2
    assert "Fix:" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_causes_of_parts_are_united_by_the_clause_that_names_them() -> None:
    """A clause follows the clause that names its cause, that one its own; two that name each other are one cause."""

    def failing(clause: str) -> Finding:
        return Finding(clause, "epsilon", "MUST", "b", "cpu", "deviates", 2, 1, 0, 2.0, case=None)

    def cause(clause: str, *also: str) -> Cause:
        return Cause(clause, "epsilon", "MUST", "b", "cpu", also=also)

    findings = [failing(f"epsilon.{name}") for name in "abcdef"]
    causes = {
        "epsilon.a": [cause("epsilon.a", "epsilon.b")],
        "epsilon.b": [cause("epsilon.a", "epsilon.b")],
        "epsilon.c": [cause("epsilon.b", "epsilon.c")],
        "epsilon.d": [cause("epsilon.d", "epsilon.a")],
        "epsilon.e": [cause("epsilon.f", "epsilon.e")],
        "epsilon.f": [cause("epsilon.e", "epsilon.f")],
    }
    found = {c.clauses for c in united(findings, causes)}
    assert found == {
        ("epsilon.a", "epsilon.b", "epsilon.c"),
        ("epsilon.d",),
        ("epsilon.e", "epsilon.f"),
    }


def test_of_united_causes_those_that_nobody_examined_come_last() -> None:
    """As in a run that was not divided: they have no conditions, which would make them the most ordinary."""
    findings = [
        Finding(clause, "epsilon", "MUST", "b", "cpu", "deviates", 2, 1, 0, 2.0, case=None)
        for clause in ("epsilon.a", "epsilon.b")
    ]
    unexamined = Cause("epsilon.a", "epsilon", "MUST", "b", "cpu", cut="time")
    examined = Cause("epsilon.b", "epsilon", "MUST", "b", "cpu")
    made = united(findings, {"epsilon.a": [unexamined], "epsilon.b": [examined]})
    assert [c.clause for c in made] == ["epsilon.b", "epsilon.a"]
