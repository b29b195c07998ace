"""Processes and signals: limits, last words, orphans, and what Ctrl-C leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import gone
from small_cases import case_of, layouts

from bnspec.backends.harness.interruption import resumable, stoppable
from bnspec.backends.harness.last_words import KEPT_BYTES, last_words
from bnspec.backends.harness.launcher import Worker, refuse_full_folder
from bnspec.backends.harness.limits import Limits
from bnspec.cli import main
from bnspec.conformance.run.verify import exit_status, failed_to_open
from bnspec.conformance.selftest.faults.injection import Injection, print_injections
from bnspec.errors import HarnessError, Interrupted
from bnspec.model.call import INFERENCE
from bnspec.model.case import Step
from bnspec.model.vocabulary import TargetStatus
from bnspec.reports.run.records import Finding, TargetRecord
from bnspec.reports.run.store import read_run

#: What one run with NumPy alone is asked: some hundred cases of which each is fast.
ASKED = ["--backend", "example_adapters:Wrong", "--clause", "epsilon.inside_root_in_inference", "--case-seconds", "33"]


# --- limits -----------------------------------------------------------------------------------------------------------

BEYOND = {
    "memory": ("x = np.ones(2**29, np.uint8); time.sleep(60)", {"memory_gib": 0.3}, "--memory-gib"),
    "output": ("[os.write(1, bytes(2**20)) for _ in range(10**6)]", {"output_mib": 4.0}, "--output-mib"),
    "frame": ("return np.ones((4000, 300), np.float32)", {"frame_mib": 1.0}, "at most 1048576 bytes"),
    "time": ("time.sleep(60)", {"case_seconds": 0.5}, "no answer within 0.5 s"),
}


@pytest.mark.parametrize("limit", BEYOND)
def test_what_is_beyond_a_limit_costs_its_case(
    limit: str, write_adapters: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said with the option that sets it; the next case meets a new process."""
    statement, limits, words = BEYOND[limit]
    worker = write_adapters(f"""
        class Layer(NumpyLayer):
            def training(self, x):
                {statement}
        class Example(Base):
            built = Layer
        """)
    worker.limits = Limits(**{"case_seconds": 20.0, **limits})
    worker._end(0.0)  # the next case meets a process with these limits
    ended = worker.run(case_of(layouts()["contiguous"]))
    assert ended.status == ("timeout" if limit == "time" else "crashed")
    assert words in ended.message
    assert worker.run(case_of(layouts()["contiguous"], Step(INFERENCE, ("x",)))).status == "ok"


def test_the_limits_of_a_run_are_recorded(example_run: Path) -> None:
    """Each is an option, and stands in the manifest."""
    limits = read_run(example_run).manifest.options["limits"]
    assert (limits["case_seconds"], limits["output_mib"], limits["open_seconds"]) == (33.0, 64.0, 180.0)


def test_last_words_come_from_the_end_and_from_the_process_that_died(write_adapters: Callable[..., Worker]) -> None:
    """A megabyte before them changes nothing, and neither does what an earlier process said."""
    assert last_words(b"one\ntwo\n\n") == ("", "two")
    assert last_words(b"") == ("", "")
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                print("x" * 2**20)
                print("the first process" if not os.path.exists(MARK) else "")
                open(MARK, "w").close()
                os._exit(7)
        MARK = __file__ + ".mark"
        class Example(Base):
            built = Layer
        """)
    first, second = (worker.run(case_of(layouts()["contiguous"])) for _ in range(2))
    assert first.message == "ended with status 7; it said: the first process"
    assert second.message == "ended with status 7; it said: " + "x" * 200
    assert KEPT_BYTES < 2**20


def test_a_full_temporary_folder_is_not_the_adapters_deviation(
    write_adapters: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is full, the run ends with what to do; where it is not, whoever says so answers for it."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                raise OSError(28, "No space left on device")
        class Example(Base):
            built = Layer
        """)
    assert worker.run(case_of(layouts()["contiguous"])).status == "crashed"

    @contextlib.contextmanager
    def full(**_: Any) -> Iterator[Any]:
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(HarnessError, match="is full"):
        worker.run(case_of(layouts()["contiguous"]))
    with pytest.raises(HarnessError, match="TMPDIR"):
        refuse_full_folder()


# --- orphans ----------------------------------------------------------------------------------------------------------

#: An adapter that starts a process in its group and one in a session of its own, and says their ids.
PARENT = """
    import subprocess
    class Layer(NumpyLayer):
        def training(self, x):
            more = [subprocess.Popen(["sleep", "300"], start_new_session=s).pid for s in (False, True)]
            open(MARK, "w").write(" ".join(map(str, [os.getpid(), *more])))
            END
    MARK = __file__ + ".pids"
    class Example(Base):
        built = Layer
    """


@pytest.mark.parametrize("end", ["return x", "os.kill(os.getpid(), signal.SIGSEGV)", "time.sleep(60)"])
def test_what_a_worker_started_ends_with_it(end: str, write_adapters: Callable[..., Worker], tmp_path: Path) -> None:
    """However it ends: stopped, by a signal, at its limit; whether or not it left the group."""
    worker = write_adapters(PARENT.replace("END", end))
    worker.run(case_of(layouts()["contiguous"]), seconds=2.0 if "sleep" in end else 20.0)
    worker.stop()
    numbers = [int(n) for n in (tmp_path / "written_adapter.py.pids").read_text().split()]
    assert len(numbers) == 3
    assert gone(numbers)


def test_what_a_run_started_ends_with_the_run_by_sigkill_too(
    write_adapters: Callable[..., Worker], tmp_path: Path
) -> None:
    """Also where the worker is blocked in C, and never looks at its socket."""
    blocked = "import ctypes; ctypes.PyDLL(None).sleep(300)"
    write_adapters(PARENT.replace("END", blocked)).stop()
    program = (
        "from bnspec.backends.harness.launcher import Worker; from bnspec.backends.harness.registry import Entry; "
        "from small_cases import case_of, layouts; "
        "Worker(Entry('w', 'written_adapter:Example'), 'cpu').run(case_of(layouts()['contiguous']))"
    )
    support = Path(__file__).parents[1] / "support"
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{support}"}
    run = subprocess.Popen([sys.executable, "-c", program], env=environment)
    pids = tmp_path / "written_adapter.py.pids"
    try:
        for _ in range(3000):
            if pids.exists() and len(pids.read_text().split()) == 3:
                break
            time.sleep(0.02)
        numbers = [int(n) for n in pids.read_text().split()]
    finally:
        run.kill()
        run.wait()
    assert gone(numbers)


# --- signals ----------------------------------------------------------------------------------------------------------


def test_a_signal_in_a_block_that_can_be_stopped_raises_once_and_says_how_to_go_on() -> None:
    """Afterwards the handlers are those of before."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as stopped, stoppable():  # noqa: PT012
        resumable("bnspec verify --resume here")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5.0)
    assert stopped.value.exit_status == 143
    assert str(stopped.value) == "interrupted; go on with: bnspec verify --resume here"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def found_in(path: Path) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What a run says of each clause on each target."""
    return {
        (f.backend, f.clause): (f.verdict, f.cases, f.failures, f.declined, f.ratio, f.case)
        for f in read_run(path).findings
    }


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_run_that_was_stopped_anywhere_resumes_to_the_verdicts_of_a_whole_one(
    how: signal.Signals, tmp_path: Path, example_run: Path, tests_environment: dict[str, str]
) -> None:
    """A terminal's signal reaches the whole group: nothing is said of what it interrupted, and it ends within a second."""
    program = [sys.executable, "-c", "import sys; from bnspec.cli import main; sys.exit(main())", "verify", *ASKED]
    run = subprocess.Popen(
        [*program, "--out", str(tmp_path / "run")],
        env=tests_environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    journal = tmp_path / "run" / "journal.jsonl"
    while run.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 30):
        time.sleep(0.01)
    os.killpg(run.pid, how)
    began = time.monotonic()
    _, said = run.communicate()
    took = time.monotonic() - began
    assert took < 10.0  # a second, and what else the machine does
    assert run.returncode == (-9 if how == signal.SIGKILL else 128 + how)
    if how != signal.SIGKILL:
        assert "--resume" in said.splitlines()[-1]
    cut = read_run(tmp_path / "run")
    assert not cut.complete
    assert not cut.incidents
    judged = journal.read_bytes().count(b"judged_case")
    assert main(["verify", *ASKED, "--json", "--resume", str(tmp_path / "run")]) == 1
    assert found_in(tmp_path / "run") == found_in(example_run)
    assert len(read_run(tmp_path / "run").records) == len((tmp_path / "run" / "records.jsonl").read_text().splitlines())
    again = [json.loads(line) for line in journal.read_text().splitlines()]
    orders = [(e["backend"], e["order"]) for e in again if e["kind"] == "judged_case"]
    assert len(orders) == len(set(orders))  # no case was judged twice
    assert judged >= 25


@pytest.fixture
def tests_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a run that finds the example adapters."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
    return dict(os.environ)


@pytest.fixture(scope="module")
def example_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "support"))
        assert main(["verify", *ASKED, "--json", "--out", str(out)]) == 1
    return out


def test_a_target_that_fails_to_open_is_not_status_0() -> None:
    """Beside one that conforms it is 3, unless the call says that it may be absent; what is not installed was not promised."""
    conforms = Finding("training.output", "training", "MUST", "numpy", "cpu", "conforms", 1, 0, 0, 0.5)

    def status(opened: TargetStatus, *absent: str) -> int:
        target = TargetRecord("other", "cpu", opened, "because", "", {}, {})
        return exit_status([conforms], failed_to_open([target], absent))

    assert [status(s) for s in ("ready", "absent", "unavailable")] == [0, 0, 0]
    assert [status(s) for s in ("crashed", "timeout", "broken")] == [3, 3, 3]
    assert [status("crashed", p) for p in ("other", "oth*", "other@cpu", "numpy")] == [0, 0, 0, 3]


def test_a_fault_that_never_hit_is_not_one_that_was_survived(capsys: pytest.CaptureFixture[str]) -> None:
    """One that came too late shows nothing; a kind with a hit may have misses beside it."""
    hit, missed = Injection("a", True, 0, 0.1), Injection("a", True, 0, 0.1, hit=False)
    assert print_injections([hit, missed]) == 0
    assert print_injections([hit, dataclasses.replace(missed, fault="b")]) == 1
    assert "2 injections, 1 hit, 1 survived" in capsys.readouterr().out
