"""Judging processes: they say what this process says, and end with the run, whatever ends it."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from in_process import adapter_of
from processes import alive, children_of, command_of, gone

from bnspec.backends.worker.execution import run_case
from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.run import judges as judging
from bnspec.conformance.run.judges import Asked, Judges
from bnspec.conformance.run.judging_process import Answer, Judged, Judging, Question
from bnspec.conformance.selftest.mutants.epsilon import EpsilonOutsideRoot
from bnspec.errors import HarnessError
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.journal import JudgedCase, read_journal

TARGET = Judged(("epsilon.inside_root_in_training", "contract.completes"), Conventions(), "an example", {})


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes judge from the first case on."""
    monkeypatch.setattr(judging, "HERE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    """Cases on a layer with a defect, as they were observed."""
    adapter = adapter_of(EpsilonOutsideRoot)
    cases = [c for c in catalogue() if c.subject == "batch_norm"][:40]
    return [Asked(TARGET, c, run_case(adapter, *c.header())) for c in cases]


def pids(judges: Judges) -> list[int]:
    """Of the judging processes."""
    return [p._process.pid for p in judges._started]


@pytest.mark.usefixtures("at_once")
def test_processes_say_what_this_one_says_and_end_with_the_run(asked: list[Asked]) -> None:
    """Every judgement with its ratio, message and evidence; each case is answered once."""
    found: dict[int, dict[str, Any]] = {1: {}, 2: {}}
    for count, said in found.items():
        with Judges(count) as judges:
            with judges.flight() as flight:
                for one in asked:
                    flight.judge(one, lambda f, seconds, one=one, said=said: said.setdefault(one.case.id, f))  # type: ignore[misc]
            started = pids(judges)
        assert len(started) == (0 if count == 1 else 2)
        assert not any(map(alive, started))
    for case, here in found[1].items():
        there = found[2][case]
        assert there.judgements == here.judgements
        assert (there.status, there.reasons, there.known) == (here.status, here.reasons, here.known)
    assert len(found[2]) == len(asked)
    assert any(j and not j.holds for f in found[2].values() for j in f.judgements.values())


@pytest.mark.usefixtures("at_once")
def test_a_judging_process_that_is_killed_ends_the_run_with_what_why_and_fix(asked: list[Asked]) -> None:
    """Nothing is said of the backend; the others end, too."""

    def kill_one(judges: Judges) -> None:
        with judges.flight() as flight:
            flight.judge(asked[0], lambda found, seconds: None)
            os.kill(pids(judges)[1], signal.SIGKILL)
            for one in asked:
                flight.judge(one, lambda found, seconds: None)

    with Judges(2) as judges:
        with pytest.raises(HarnessError) as ended:
            kill_one(judges)
        started = pids(judges)
    assert "killed by SIGKILL" in ended.value.what
    assert "--resume" in ended.value.fix
    assert not any(map(alive, started))


@pytest.mark.usefixtures("at_once")
def test_an_error_while_a_judgement_is_counted_is_raised_where_it_is_waited_for(asked: list[Asked]) -> None:
    """A full disk, say: the thread of the target ends."""

    def full(found: object, seconds: float) -> None:
        raise HarnessError("no room.")

    with Judges(2) as judges, pytest.raises(HarnessError, match="no room"), judges.flight() as flight:
        flight.judge(asked[0], full)


@pytest.mark.usefixtures("at_once")
def test_a_flight_has_few_cases_under_way(asked: list[Asked]) -> None:
    """So many a kill loses at most: two for each process."""
    under_way, most, lock = 0, 0, threading.Lock()

    def landed(found: object, seconds: float) -> None:
        nonlocal under_way
        time.sleep(0.002)
        with lock:
            under_way -= 1

    with Judges(2) as judges, judges.flight() as flight:
        for one in asked:
            flight.judge(one, landed)
            with lock:
                under_way += 1
                most = max(most, under_way)
    assert under_way == 0
    assert 1 < most <= 2 * judging.AHEAD + 1


@pytest.mark.usefixtures("at_once")
def test_a_process_is_told_of_a_target_once(asked: list[Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    """And judges each case by its own target: the second has one clause, and the first has both."""
    told: list[bool] = []
    monkeypatch.setattr(judging, "Question", lambda *words: told.append(words[-1] is not None) or Question(*words))
    other = Judged(("contract.completes",), Conventions(), "another", {})
    found: list[tuple[str, set[str]]] = []
    with Judges(2) as judges, judges.flight() as flight:
        for one in asked[:10]:
            for target in (TARGET, other):
                said = functools.partial(lambda name, f, _: found.append((name, set(f.judgements))), target.backend)
                flight.judge(dataclasses.replace(one, target=target), said)
    assert len(told) == 20
    assert sum(told) <= 4, "two targets, two processes"
    assert {c for name, clauses in found if name == "another" for c in clauses} == {"contract.completes"}
    assert {c for name, clauses in found if name != "another" for c in clauses} == set(TARGET.clauses)


def test_an_error_of_the_judge_is_an_answer(asked: list[Asked]) -> None:
    """With its traceback as a note, and the process goes on."""
    judge, one = Judging(1), asked[0]
    packed = one.case.header(), one.observation.header()
    broken = judge.answer(Question(1, 0, "", ({}, []), packed[1], TARGET))
    assert broken.found is None
    assert broken.error is not None
    assert "Traceback" in "".join(broken.error.__notes__)
    answer: Answer = judge.answer(Question(2, 0, one.case.id, *packed))
    assert answer.found is not None
    here = TARGET.collector.judged(one.case, one.observation, Oracle(one.case))
    assert answer.found.judgements == here.judgements
    again: Answer = judge.answer(
        Question(3, 0, one.case.id, ({}, []), packed[1])
    )  # its oracle is kept, and it is not read
    assert again.found is not None
    assert again.found.judgements == here.judgements


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_judging_process_and_a_journal_that_resumes(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal's signal to the whole group, or SIGKILL to the run alone; what was judged is not judged again."""
    out = tmp_path / "run"
    words = ["verify", "--backend", "numpy", "--clause", "epsilon", "--json"]
    program = (
        "import os; os.sched_getaffinity = lambda _: {0, 1}; "  # two judges, however many cores there are
        "import bnspec.conformance.run.judges as judges; judges.HERE_SECONDS = 0.0; "
        "import bnspec.conformance.run.verify as verify; from bnspec.conformance.cases.catalogue import catalogue; "
        "verify.cases_of = lambda *ignored: catalogue()[:60]; "
        f"from bnspec.cli import main; raise SystemExit(main({[*words, '--out', str(out)]!r}))"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    children: list[int] = []
    for _ in range(1000):
        time.sleep(0.02)
        if (out / "journal.jsonl").exists() and (out / "journal.jsonl").read_bytes().count(b"judged_case") > 3:
            children = [pid for pid in children_of(run.pid) if b"judging_process" in command_of(pid)]
            break
    assert len(children) == 2
    began = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(run.pid, number)
    else:
        os.kill(run.pid, number)
    _, said = run.communicate()
    assert time.monotonic() - began < 10
    assert run.returncode == (130 if number == signal.SIGINT else -number)
    assert (b"--resume" in said) == (number == signal.SIGINT)
    assert gone(children)
    before = [e for e in read_journal(out) if isinstance(e, JudgedCase)]
    assert {e.status for e in before} <= {"ok", "declined"}
    if number == signal.SIGKILL:
        return
    monkeypatch.setattr("bnspec.conformance.run.verify.cases_of", lambda *ignored: catalogue()[:60])
    assert main([*words, "--resume", str(out)]) == 0
    after = [e.order for e in read_journal(out) if isinstance(e, JudgedCase)]
    assert len(after) == len(set(after)) > len(before)
