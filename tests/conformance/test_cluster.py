"""A run as units: the plan and its files, what comes back from machines, the merge of targets, the simulated cluster."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bnspec.backends.harness.targets import targets_of
from bnspec.clauses import select_asked
from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cluster.archive import unpacked
from bnspec.conformance.cluster.kubernetes import Pods, manifests
from bnspec.conformance.cluster.plan import PLAN, Plan, Unit, encode_plan, plan_of, read_plan, write_plan
from bnspec.conformance.cluster.run import Returned, Spread, verify_on
from bnspec.conformance.cluster.schedule import Times, best, recorded_times, simulated
from bnspec.conformance.cluster.slurm import scripts
from bnspec.conformance.cluster.unit import packed, whole
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.shard import Shard
from bnspec.conformance.run.verify import VerifyRequest, exit_status, needed
from bnspec.errors import HarnessError, Interrupted, UsageError
from bnspec.reports.run.journal import JudgedCase, read_journal
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import RunFinished
from bnspec.reports.run.store import Run, RunWriter, read_run

#: Words that a shell, Kubernetes and an option parser would each take for more than a word.
HOSTILE = "a'b \"$(touch pwned)`touch pwned`;&$(HOME) --out=x.py:Layer"
CALL = "bnspec verify"


def small_plan(shards: int = 2, **more: Any) -> Plan:
    """A plan of two targets, one on a GPU, one with a hostile name."""
    return plan_of(VerifyRequest([HOSTILE, "numpy"], ["cuda:0", "cpu"], ["epsilon"], jobs=1, **more), shards, CALL)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_has_a_unit_for_each_target_and_shard() -> None:
    """Numbered from 1, those with equal needs side by side, each value one word with its option."""
    plan = small_plan(absent=("-x",))
    assert [u.number for u in plan.units] == list(range(1, 9))
    assert [(u.resources.gpus, u.shard) for u in plan.units] == [(0, 1), (0, 2)] * 2 + [(1, 1), (1, 2)] * 2
    first = plan.units[0]
    assert first.arguments[:3] == ("verify", f"--backend={HOSTILE}", "--device=cpu")
    assert {"--clause=epsilon", "--jobs=1", "--seed=1", "--may-be-absent=-x", "--shard=1/2"} <= set(first.arguments)
    assert not any(w.startswith("--memory-gib") for w in first.arguments), "each machine has its own usual memory"
    assert [len(g) for g in plan.groups()] == [4, 4]


def test_what_a_plan_cannot_hold_is_refused(tmp_path: Path) -> None:
    """A corpus, a GPU by its number, too many units, another plan in the folder, a file that is none."""
    for request in (
        VerifyRequest(["numpy"], ["cuda:1"], []),
        VerifyRequest(["numpy"], [], [], corpus=tmp_path),
        VerifyRequest(["numpy"], [], [], minutes=1.0),
        VerifyRequest(["numpy"], [], [], shard=Shard(1, 2)),
    ):
        with pytest.raises(UsageError):
            plan_of(request, 2, CALL)
    with pytest.raises(UsageError, match="too many"):
        plan_of(VerifyRequest(["numpy"], [], []), 200_000, CALL)
    write_plan(tmp_path, small_plan())
    assert read_plan(tmp_path) == small_plan()
    write_plan(tmp_path, small_plan())
    with pytest.raises(UsageError, match="another plan"):
        write_plan(tmp_path, small_plan(3))
    for name in ("manifest.json", "of-mine.txt"):
        taken = tmp_path / name.partition(".")[0]
        taken.mkdir()
        (taken / name).write_text("")
        with pytest.raises(UsageError, match="cannot take a new plan"):
            write_plan(taken, small_plan())
        assert [p.name for p in taken.iterdir()] == [name]
    (tmp_path / PLAN).write_bytes(encode_plan(small_plan()).replace(b'"number": 1', b'"number": 7', 1))
    with pytest.raises(UsageError, match="no plan"):
        read_plan(tmp_path)


def test_slurm_runs_each_unit_with_its_own_words(tmp_path: Path) -> None:
    """An sbatch that runs each task at once: the Python of units is called with the plan and its number, and nothing else runs."""
    folder, log = tmp_path / "a'b $(touch pwned) \n;c", tmp_path / "log"
    python, sbatch = tmp_path / "my python", tmp_path / "bin" / "sbatch"
    python.write_text(
        f"#!{sys.executable}\nimport sys, json\nopen({str(log)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
    )
    sbatch.parent.mkdir()
    sbatch.write_text(
        "#!/bin/bash\nscript=${@: -1}\nr=$(grep -oP '(?<=--array=).*' \"$script\" || echo 0-0)\n"
        'for i in $(seq ${r%-*} ${r#*-}); do SLURM_ARRAY_TASK_ID=$i bash "$script" >&2; done; echo "7;c $*" >> "$LOG"; echo "7;c"\n'
    )
    python.chmod(0o755)
    sbatch.chmod(0o755)
    plan = small_plan()
    write_plan(folder, plan)
    for name, text in scripts(plan, folder, str(python)).items():
        (folder / name).write_text(text)
    environment = {**os.environ, "PATH": f"{sbatch.parent}:{os.environ['PATH']}", "LOG": str(tmp_path / "submitted")}
    subprocess.run(["bash", str(folder / "submit.sh")], check=True, env=environment, cwd=tmp_path)
    called = [json.loads(line) for line in log.read_text().splitlines()]
    unit = ["-P", "-m", "bnspec.conformance.cluster.unit", str(folder / PLAN)]
    assert called[:-1] == [[*unit, str(n)] for n in range(1, 9)]
    assert called[-1] == ["-P", "-m", "bnspec.conformance.cluster.merged", str(folder)]
    assert "--dependency=afterany:7:7 merge.sbatch" in (tmp_path / "submitted").read_text().splitlines()[-1]
    assert not list(tmp_path.rglob("pwned"))
    arrays = [(folder / f"units-{n}.sbatch").read_text() for n in (1, 2)]
    assert ["--gpus-per-task=1" in a for a in arrays] == [False, True]


def test_kubernetes_counts_the_pods_of_each_need() -> None:
    """Indexed Jobs whose pods begin with the number of their first unit; a GPU where it is asked for; no variable in a word."""
    made = manifests(small_plan(), Pods("mine", "image", "claim", "/opt/$(HOME)/python"))
    jobs = {name: json.loads(text) for name, text in made.items() if name.endswith(".json")}
    specs = [jobs[f"units-{n}.json"]["spec"] for n in (1, 2)]
    assert [(s["completionMode"], s["completions"]) for s in specs] == [("Indexed", 4), ("Indexed", 4)]
    containers = [s["template"]["spec"]["containers"][0] for s in specs]
    assert containers[1]["command"][-3:] == ["/bnspec/mine/plan.json", "--first", "5"]
    assert containers[1]["command"][0] == "/opt/$$(HOME)/python"
    assert ["nvidia.com/gpu" in c["resources"]["limits"] for c in containers] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_the_jobs_keep_to_the_schema_of_kubernetes(version: str) -> None:
    """Strictly: a field that it does not know is refused."""
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    for name, text in manifests(small_plan(), Pods("mine", "image", "claim")).items():
        if name.endswith(".json"):
            validate.validate(json.loads(text), version, strict=True)


def test_the_command_writes_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As data, printed and in the folder; Kubernetes needs an image and a claim."""
    call = ["plan", "--backend", "numpy", "--shards", "3", "--memory-gib", "2", "--label", "big"]
    assert main([*call, "--out", str(tmp_path / "p"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "p" / PLAN).read_text())
    assert printed["units"][2]["resources"] == {"cpus": 2, "gpus": 0, "memory_bytes": 6 * 2**30, "label": "big"}
    assert main([*call, "--as", "kubernetes", "--out", str(tmp_path / "k")]) == 2
    assert not (tmp_path / "k").exists()
    assert main([*call, "--label", "$(x)"]) == 2


# --- what comes back --------------------------------------------------------------------------------------------------


def tar_of(*members: tuple[str, bytes, bytes]) -> bytes:
    """A compressed tar of members by name, type and content; a link's content is where it leads."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = content.decode()
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


GOOD = (("manifest.json", tarfile.REGTYPE, b"{}"), ("records.jsonl", tarfile.REGTYPE, b"{}\n"))
REFUSED = {
    "outside": ("../x.json", tarfile.REGTYPE, b""),
    "absolute": ("/tmp/x.json", tarfile.REGTYPE, b""),
    "through cases": ("cases/../../x.json", tarfile.REGTYPE, b""),
    "another name": ("numpy.py", tarfile.REGTYPE, b""),
    "with a line feed": ("manifest.json\n", tarfile.REGTYPE, b""),
    "link": ("cases/a.json", tarfile.SYMTYPE, b"/etc/passwd"),
    "hard link": ("cases/a.json", tarfile.LNKTYPE, b"manifest.json"),
    "pipe": ("cases/a.json", tarfile.FIFOTYPE, b""),
    "folder": ("cases", tarfile.DIRTYPE, b""),
    "twice": GOOD[0],
    "large": ("cases/a.json", tarfile.REGTYPE, bytes(200_000)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_run_directory_is_refused(what: str, tmp_path: Path) -> None:
    """And nothing of it is left, inside or outside."""
    with pytest.raises(HarnessError, match="no run directory"):
        unpacked(tar_of(*GOOD, REFUSED[what]), tmp_path / "in" / "0001", at_most=100_000)
    assert list(tmp_path.rglob("*")) == [tmp_path / "in"]


NO_ARCHIVES = {
    "nothing": b"",
    "no gzip": b"no gzip",
    "no records": tar_of(GOOD[0]),
    "no tar": gzip.compress(b"no tar" * 500),
    "cut off": tar_of(*GOOD)[:90],
}


@pytest.mark.parametrize("what", NO_ARCHIVES)
def test_bytes_that_are_no_archive_are_refused(what: str, tmp_path: Path) -> None:
    """As those that are one and hold something else."""
    with pytest.raises(HarnessError, match="no run directory"):
        unpacked(NO_ARCHIVES[what], tmp_path / "0001")


# --- a run on an engine -----------------------------------------------------------------------------------------------


class Recorded:
    """An engine that has the units' runs already, by backend; after ``until`` of them it is interrupted."""

    def __init__(self, runs: dict[str, Path], until: int = 100) -> None:
        self.runs, self.until, self.asked = runs, until, list[str]()

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None: ...

    def results(self, units: Sequence[Unit]) -> Iterator[Returned]:
        """The runs, in reverse order: units end in any."""
        for unit in reversed(units):
            if len(self.asked) == self.until:
                raise Interrupted(2)
            self.asked.append(unit.backend)
            yield Returned(unit, 0, "", packed(self.runs[unit.backend]))


RIGHT, WRONG = "example_adapters:Right", "example_adapters:Wrong"
ASKED: dict[str, Any] = {"clauses": ["epsilon.inside_root_in_inference"], "effort": "device", "jobs": 1}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Runs of one target, or of both ("both"), on the first cases, made on this machine."""
    folder = tmp_path_factory.mktemp("local")
    support = Path(__file__).resolve().parents[1] / "support"
    clauses = select_asked(ASKED["clauses"])
    cases = list(needed(catalogue(), clauses))[:8]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(support))
        for name, backends in {RIGHT: [RIGHT], WRONG: [WRONG], "both": [RIGHT, WRONG]}.items():
            targets = targets_of(backends, [])
            options = {"targets": [t.name for t in targets], "clauses": [c.id for c in clauses]}
            manifest = new_manifest("verify", CALL, 1, "device", options)
            with RunWriter.create(folder / name.replace(":", "."), manifest) as writer:
                settings = RunSettings(clauses, 60.0, 60.0)
                found = run_targets(targets, CasePool(cases), settings, writer, lambda *_: None)
                status = exit_status([f for fs in found.values() for f in fs])
                writer.write(RunFinished(finished_now(), status, {"wall": 1.0}))
    return lambda name: folder / name.replace(":", ".")


def said(run: Run) -> list[tuple[Any, ...]]:
    """What a run says, without its times."""
    found = [(f.backend, f.clause, f.verdict, f.cases, f.failures, f.ratio, f.case, f.shrunk) for f in run.findings]
    causes = [(c.backend, c.clause, c.also) for c in run.causes]
    return [*sorted(found), *sorted(causes), *sorted((t.backend, t.status) for t in run.targets)]


def test_units_become_the_run_that_one_machine_makes(local: Callable[[str], Path], tmp_path: Path) -> None:
    """Verdicts, counts, worst and smallest cases, causes, exit status, journal; an interrupted run asks for what is missing."""
    runs = {b: local(b) for b in (RIGHT, WRONG)}
    out = tmp_path / "run"
    with pytest.raises(Interrupted):
        verify_on(Recorded(runs, 1), VerifyRequest([RIGHT, WRONG], [], out=out, **ASKED), Spread(1), CALL, quiet=True)
    assert not out.exists()
    again = VerifyRequest([RIGHT, WRONG], [], resume=out, **ASKED)
    with pytest.raises(UsageError, match="other arguments"):
        verify_on(Recorded(runs), VerifyRequest([RIGHT], [], resume=out, **ASKED), Spread(), CALL, quiet=True)
    engine = Recorded(runs)
    run, status = verify_on(engine, again, Spread(), CALL, quiet=True)
    assert engine.asked == [RIGHT]
    assert (said(run), status) == (said(read_run(local("both"))), 1)
    assert run.manifest.options["targets"] == read_run(local("both")).manifest.options["targets"]
    assert len((out / "journal.jsonl").read_text().splitlines()) > 10
    assert [p.name for p in tmp_path.iterdir()] == ["run"], "the units are gone when they are merged"


def test_a_unit_that_fails_ends_the_run_with_its_last_words(local: Callable[[str], Path], tmp_path: Path) -> None:
    """What came back is kept."""

    class Failing(Recorded):
        def results(self, units: Sequence[Unit]) -> Iterator[Returned]:
            """One that works, one that says why not."""
            yield Returned(units[1], 0, "", packed(self.runs[WRONG]))
            yield Returned(units[0], 2, "no module named bnspec", b"")

    request = VerifyRequest([RIGHT, WRONG], [], out=tmp_path / "run", **ASKED)
    with pytest.raises(HarnessError, match="no module named bnspec"):
        verify_on(Failing({WRONG: local(WRONG)}), request, Spread(1), CALL, quiet=True)
    assert whole(tmp_path / "run.units" / "units" / "0002")


def test_an_engine_that_cannot_be_reached_leaves_nothing(tmp_path: Path) -> None:
    """The same call works when it can."""

    class Unreachable(Recorded):
        def __enter__(self) -> Recorded:
            raise HarnessError("there is no Ray.")

    request = VerifyRequest([RIGHT], [], out=tmp_path / "run", **ASKED)
    with pytest.raises(HarnessError, match="no Ray"):
        verify_on(Unreachable({}), request, Spread(1), CALL, quiet=True)
    assert not list(tmp_path.iterdir())


def test_without_ray_the_call_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 2, and nothing is left; an engine of another name is refused, too."""
    monkeypatch.setitem(sys.modules, "ray", None)
    call = ["verify", "--backend", "numpy", "--out", str(tmp_path / "run"), "--on"]
    assert main([*call, "ray"]) == 2
    assert "bnspec[ray]" in capsys.readouterr().err
    assert main([*call, "ray://$(x)"]) == 2


# --- a simulated cluster ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "gib"), [(1, 2 * 2 + 1), (2, 2 * 2 + 1 + 1), (8, 2 * 2 + 1 + 4)])
def test_a_unit_has_memory_for_two_workers_and_for_what_judges(jobs: int, gib: int) -> None:
    """It has one target, so that more jobs are more judging processes, and not more workers."""
    plan = plan_of(VerifyRequest(["numpy"], [], [], jobs=jobs), 1, CALL, memory_gib=2.0)
    assert plan.units[0].resources.memory_bytes == gib * 2**30


def test_the_simulation_is_a_list_schedule_longest_first() -> None:
    """Two workers, one target of 8 s in four shards of 1, 2, 2 and 3 s, each with 1 s before: 2 + 3 + 3 + 4 s in 6 s."""
    times = Times({"a@cpu": [0.5, 1, 1, 1.5, 0.5, 1, 1, 1.5]}, {"a@cpu": 1.0}, {"a@cpu": 0.0})
    schedule = simulated(times, 4, 2)
    assert (schedule.units, schedule.seconds) == (4, 6.0)
    assert schedule.efficiency == pytest.approx(8 / 12)
    assert simulated(times, 1, 1).seconds == 9.0
    assert best(times, 64).shards == 8, "one case each; more shards have none"


def test_times_are_read_from_a_journal(local: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Of each target; the oracle's answers, which a run shares, count for each of them."""
    times = recorded_times(local("both"))
    assert set(times.cases) == {f"{RIGHT}@cpu", f"{WRONG}@cpu"}
    assert all(min(seconds) > 0 for seconds in times.cases.values())
    entries = [e.seconds for e in read_journal(local("both")) if isinstance(e, JudgedCase)]
    alone = sum(s["backend"] + s["wire_cpu"] + s["judge_cpu"] - s["oracle_cpu"] for s in entries)
    oracles = [s["oracle_cpu"] for s in entries]
    assert 0 < sum(oracles) < sum(s["judge_cpu"] for s in entries), "the judge's time has the oracle's in it"
    charged = sum(map(sum, times.cases.values())) - alone
    assert sum(oracles) - 1e-9 <= charged <= 2 * sum(oracles) + 1e-9
    assert main(["plan", "--backend", "numpy", "--from", str(local("both")), "--workers", "8"]) == 0
    assert "efficiency" in capsys.readouterr().out
