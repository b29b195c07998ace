"""``bnspec verify`` as a user meets it: adapters from outside, crashes, bad calls, resumed runs."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import children_of, command_of

from bnspec.backends.harness.registry import Entry
from bnspec.backends.harness.targets import Target
from bnspec.clauses import select_asked
from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.findings import placed
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.target_run import RunFailed, TargetRun
from bnspec.conformance.run.verify import VerifyRequest, needed, verify
from bnspec.errors import HarnessError, Interrupted
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.store import RunWriter, read_run
from bnspec.reports.tables.run import throughput

FEW = 12
#: A run with fewer cases, each clause on five or more: what is tested is the run.
FEWER = ("--effort", "device")


Begin = Callable[..., TargetRun]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """One target's way through some cases, in the run directory tmp_path / "run"."""
    with RunWriter.create(tmp_path / "run", new_manifest("verify", "test", 1, "quick", {})) as writer:

        def target_run(adapter: str, cases: list[Case], clauses: tuple[str, ...] = ()) -> TargetRun:
            target = Target(Entry(adapter, f"example_adapters:{adapter}"), "cpu")
            return TargetRun(target, CasePool(cases), RunSettings(select_asked(clauses), 0.5), writer, lambda *_: None)

        yield target_run


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_mutant_from_outside_is_found_with_its_smallest_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, the clause named, and a saved case that is smaller than the one it was found on."""
    out = tmp_path / "run"
    arguments = [
        "verify",
        "--backend",
        "example_adapters:Wrong",
        "--clause",
        "epsilon",
        *FEWER,
        "--out",
        str(out),
        "--json",
    ]
    assert main(arguments) == 1
    document = json.loads(capsys.readouterr().out)
    finding = next(f for f in document["findings"] if f["clause"] == "epsilon.inside_root_in_training")
    assert finding["verdict"] == "deviates"
    shrunk = Case.loads((out / finding["shrunk"]).read_text())
    assert len(shrunk.steps) == 1
    assert shrunk.arrays["x"].size <= 4


@pytest.mark.parametrize("asked", ["epsilon", "running", "contract", "input"])
def test_cases_that_no_asked_clause_needs_are_skipped_and_no_other(asked: str) -> None:
    """Of a skipped case no asked clause says anything, judged with every step answered."""
    clauses = select_asked((asked,))
    checks, cases = checks_for({c.id for c in clauses}), catalogue()
    kept = list(needed(cases, clauses))
    if asked == "contract":  # contract.completes is of every case
        assert kept == list(cases)
        return
    assert 0 < len(kept) < len(cases)
    kept_ids = {case.id for case in kept}
    for case in (c for c in cases if c.id not in kept_ids):
        answered = Observation("declined", "", tuple(StepResult("declined", "") for _ in case.steps))
        assert judge(case, answered, Conventions(), Oracle(case), checks) == {}


def test_a_message_says_which_call_of_a_sequence_it_is_about() -> None:
    """A single call needs no number."""
    evidence = Evidence(step=1, call="inference", relation="within_bound")
    several = next(c for c in catalogue() if len(c.steps) > 1)
    single = several.with_(steps=several.steps[:1])
    message = placed(Judgement(math.inf, evidence, "y is off"), several).message
    assert message == f"call 2 of {len(several.steps)}: {several.steps[1].call.name}: y is off"
    assert placed(Judgement(math.inf, evidence, "y is off"), single).message == "y is off"


@pytest.mark.usefixtures("example_adapters_on_path")
def test_the_same_class_without_the_defect_conforms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0, and no clause deviates."""
    asked = ["verify", "--backend", "example_adapters:Right", *FEWER, "--out", str(tmp_path / "run"), "--json"]
    assert main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert {f["verdict"] for f in document["findings"]} <= {"conforms", "declined", "not_exercised"}


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_process_that_dies_is_a_finding_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: Begin
) -> None:
    """The case that killed it is saved; every other case is judged."""
    monkeypatch.setenv("EXAMPLE_MARKER", str(tmp_path / "died"))
    monkeypatch.setenv("EXAMPLE_DEATHS", "2")
    cases = [c for c in catalogue() if c.config.dtype == "float32" and c.config.rank in (2, 3)][: 2 * FEW]
    one = begin("Dying", cases)
    findings = {f.clause: f for f in one.run()}
    completes = findings["contract.completes"]
    assert (completes.verdict, completes.failures, completes.cases) == ("crashed", 1, len(cases))
    assert completes.case is not None
    assert (tmp_path / "run" / completes.case).exists()
    assert one.counts["ok"] == len(cases) - 1
    run = read_run(tmp_path / "run")
    assert [i.status for i in run.incidents] == ["crashed"]
    assert "SIGKILL" in run.incidents[0].message


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_worker_killed_from_outside_in_the_middle_is_no_finding(begin: Begin) -> None:
    """SIGKILL between or during cases: every case is judged, and nothing is said of the backend."""
    cases = [c for c in catalogue() if c.config.dtype == "float32"][:FEW]
    started, killed = threading.Event(), list[int]()
    one = begin("Slow", cases, ("training",))
    one.progress = lambda target, number, doing: started.set() if doing == "opening" else None

    def kill_when_it_works() -> None:
        started.wait()
        for _ in range(500):
            time.sleep(0.02)
            found = [pid for pid in children_of(os.getpid()) if b"example_adapters:Slow" in command_of(pid)]
            if found and one.counts["ok"]:
                os.kill(found[0], signal.SIGKILL)
                killed.append(found[0])
                return

    killer = threading.Thread(target=kill_when_it_works)
    killer.start()
    one.run()
    killer.join()
    assert killed
    assert one.counts == {"ok": len(cases)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--backend", "nope"],
        ["verify", "--backend", "numpy", "--clause", "nope"],
        ["verify", "--backend", "numpy", "--device", "no:such:device"],
        ["verify", "--backend", "example_adapters:Incomplete"],
        ["verify", "--backend", "example_adapters:NotThere"],
        ["verify", "--backend", "no_such_module:Class"],
        ["verify", "--backend", "numpy", "--backend", "no_such_module:Class"],
        ["verify", "--backend", "numpy", "--effort", "nope"],
        ["verify", "--backend", "numpy", "--resume", "no/such/run"],
        ["verify", "--backend", "numpy", "--shards", "3"],
        ["verify", "--backend", "numpy", "--label", "big"],
        ["verify", "--backend", "numpy", "--unit-python", "python3"],
        ["verify", "--backend", "numpy", "--runtime-env", "env.json"],
        ["verify", "--backend", "numpy", "--resume", ".", "--out", "run"],
        ["report", "no/such/run"],
        ["explain", "nope"],
        ["mutants", "--name", "nope"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_bad_call_exits_2_and_says_how_to_fix_it(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, what and fix on standard error, nothing on standard output, and no run."""
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    assert status == 2
    assert "Fix:" in said.err
    assert not said.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("adapter", "history", "words"),
    [
        ("TunedInTheFirstCall", "first_run", "only in the first run of the case in a process"),
        ("KeepsTheLargestCount", "after_other_cases", "only in a process that has run other cases"),
        ("Wrong", None, ""),
    ],
)
@pytest.mark.usefixtures("example_adapters_on_path")
def test_what_a_deviation_needs_of_its_process_is_found_by_running_it_in_a_new_one(
    begin: Begin, adapter: str, history: str | None, words: str
) -> None:
    """And neither "observed once" nor silence about it; a deviation that needs nothing has no history."""
    full = (c for c in catalogue() if any(s.call.name == "training" for s in c.steps) and c.config.dtype == "float32")
    cases = [c for c in full if "x" in c.arrays][:60]
    cases.sort(key=lambda c: -c.arrays["x"].size)  # the large ones first
    findings = begin(adapter, cases, ("running", "epsilon")).run()
    failing = [f for f in findings if f.verdict == "deviates" and f.level == "MUST"]
    assert failing
    for finding in failing:
        assert finding.evidence is not None
        assert finding.evidence.history == history
        assert words in finding.message


def test_the_parent_imports_no_framework(tmp_path: Path) -> None:
    """After a whole run, the harness's own process has none of the frameworks loaded."""
    program = (
        "import sys; from bnspec.cli import main; "
        f"main(['verify', '--backend', 'numpy', '--clause', 'training', *{FEWER!r}, '--out', {str(tmp_path / 'run')!r}, '--json']); "
        "from bnspec.backends.harness.folders import backend_folders; "
        "sys.stderr.write(','.join(p for f in backend_folders() for p in f.imports if p in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr.strip() == ""
    assert json.loads(done.stdout)["findings"]


def test_a_run_that_was_cut_short_is_readable_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its last record a run is incomplete; --resume keeps finished targets and ends it."""
    out = tmp_path / "run"
    asked = ["verify", "--backend", "numpy", "--clause", "running", *FEWER, "--json"]
    assert main([*asked, "--out", str(out)]) == 0
    lines = (out / "records.jsonl").read_bytes().splitlines(keepends=True)
    (out / "records.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:9])
    assert not read_run(out).complete
    assert main([*asked, "--resume", str(out)]) == 0
    assert read_run(out).complete
    capsys.readouterr()
    assert main(["verify", "--backend", "numpy", "--clause", "epsilon", *FEWER, "--resume", str(out)]) == 2


def test_a_target_that_is_assisted_finds_what_it_finds_alone(example_adapters_on_path: None, tmp_path: Path) -> None:
    """The same verdicts, counts, ratios and smallest cases, whoever hears which case."""
    outcomes = []
    for jobs in (1, 3):
        asked = VerifyRequest(
            ["example_adapters:Wrong"], ["cpu"], ["epsilon", "running"], "device", jobs=jobs, out=tmp_path / str(jobs)
        )
        run, status = verify(asked, "test", quiet=True)
        assert status == 1
        rows = [(f.clause, f.verdict, f.cases, f.failures, f.ratio, f.case) for f in run.findings]
        outcomes.append((rows, run.targets_finished[0].cases))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("error", [HarnessError("no room."), Interrupted(signal.SIGINT)], ids=["error", "signal"])
@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_target_whose_assistant_fails_in_its_tail_is_not_finished(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The assistant fails on the last case while the first worker has none left: that case is not left out in silence."""
    monkeypatch.setattr("bnspec.conformance.run.target_run.WORTH_ASSISTING", 1)
    one, taken, raised = begin("Right", list(catalogue())[:1]), threading.Event(), list[BaseException]()

    def fail(*_: object) -> None:
        taken.set()
        raise error

    def assist() -> None:
        try:
            one.assist()
        except BaseException as ended:  # noqa: BLE001  # looked at below
            raised.append(ended)

    def nothing_is_left() -> None:
        assistant.start()
        assert taken.wait(60.0)

    assistant = threading.Thread(target=assist)
    monkeypatch.setattr(one, "note", fail)
    monkeypatch.setattr(one.queue, "first", nothing_is_left)
    with pytest.raises(RunFailed):
        one.run()
    assistant.join()
    assert raised == [error]
    run = read_run(tmp_path / "run")
    assert (run.findings, run.targets_finished) == ((), ())


def test_a_run_says_what_it_cost(tmp_path: Path) -> None:
    """Answers a second, and the shares of oracle, judge, backend, wire and hypothesis, which add up to the whole."""
    run, _ = verify(
        VerifyRequest(["numpy"], ["cpu"], ["running.mean"], "device", out=tmp_path / "run"), "test", quiet=True
    )
    first, second = throughput(run)
    assert "answers in" in first
    shares = [int(s) for s in re.findall(r"(\d+)%", first)]
    assert len(shares) == 5
    assert abs(sum(shares) - 100) <= len(shares)
    assert "shrinking" in second


@pytest.mark.parametrize(
    ("body", "clause", "verdict"),
    [("raise RuntimeError('no')", "contract.accepts", "deviates"), ("os._exit(3)", "contract.completes", "crashed")],
    ids=["raises", "ends its process"],
)
def test_a_layer_that_gives_no_answer_does_not_conform_to_a_clause_about_values(
    tmp_path: Path, body: str, clause: str, verdict: str
) -> None:
    """Whichever clause is asked, so is whether calls are answered: nothing that could be judged is no conformance."""
    source = (Path(__file__).parents[2] / "examples" / "my_layer.py").read_text("utf-8")
    source += (
        f"\n\nimport os\n\n\nclass Silent(MyLayer):\n    def training(self, x, *dy):\n        {body}\n\n"
        "    training_gradients = training\n\n\nclass SilentAdapter(MyAdapter):\n    def layer(self, *arguments):\n"
        "        return Silent(*arguments)\n"
    )
    (tmp_path / "silent.py").write_text(source, "utf-8")
    asked = VerifyRequest(
        [f"{tmp_path}/silent.py:SilentAdapter"], [], ["training.output"], "device", out=tmp_path / "run"
    )
    run, status = verify(asked, "test", quiet=True)
    assert status == 1
    assert {f.clause: f.verdict for f in run.findings}[clause] == verdict
