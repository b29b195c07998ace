"""A device that is lost is a crash, and one that is full an incident: neither is a verdict on what is called next."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnspec.backends.harness.launcher import OUT_OF_MEMORY, Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.backends.worker import devices
from bnspec.clauses import select_asked
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.settings import RunSettings
from bnspec.model.case import Case
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.store import RunWriter, read_run
from tests.support.broken_device import FULL, FULL_ONCE, LOST, WRONG

ADAPTER = Entry("breaking", "tests.support.broken_device:Breaking")


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """On the device away:0."""
    monkeypatch.setenv("BROKEN_DEVICE", str(tmp_path / "processes"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )
    with Worker(ADAPTER, "away:0") as opened:
        assert opened.hello.status == "ready", opened.hello.reason
        yield opened


def case(rows: int) -> Case:
    """A few calls on so many rows."""
    return batch_norm_case(Plan(Form((rows, 3), 1), short=True))


def test_a_lost_device_ends_its_process_and_the_next_case_has_a_new_one(worker: Worker) -> None:
    """The exception is not the backend's answer: everything after it would have failed, too."""
    lost = worker.run(case(LOST))
    assert lost.status == "crashed"
    assert "computes no more" in lost.message
    assert worker.run(case(4)).status == "ok"
    assert worker.starts == 2


def test_an_exception_on_a_device_that_still_works_is_an_answer(worker: Worker) -> None:
    """The control: the process stays."""
    wrong = worker.run(case(WRONG))
    assert {s.message for s in wrong.steps} == {"ValueError: an argument is not allowed"}
    assert worker.run(case(4)).status == "ok"
    assert worker.starts == 1


def test_a_full_device_is_tried_again_and_then_no_verdict(worker: Worker) -> None:
    """Another process may have filled it."""
    full = worker.run(case(FULL))
    assert full.status == "not_run"
    assert full.message.startswith(OUT_OF_MEMORY)
    assert worker.starts == 2


def test_a_device_that_was_full_once_answers_in_a_new_process(worker: Worker) -> None:
    """Whoever filled it is gone."""
    assert worker.run(case(FULL_ONCE)).status == "ok"
    assert worker.starts == 2


def test_out_of_memory_is_an_incident_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: Worker
) -> None:
    """Recorded with its case, and no clause is broken by it."""
    cases = CasePool([case(4), case(FULL), case(LOST)])
    settings = RunSettings(select_asked(["contract.*"]), 0.0, 0.0, jobs=1, assist=False)
    with RunWriter.create(tmp_path / "run", new_manifest("verify", "", 1, "quick", {})) as writer:
        found = run_targets([Target(ADAPTER, "away:0")], cases, settings, writer, lambda *_: None)
    incidents = {(i.status, OUT_OF_MEMORY in i.message) for i in read_run(tmp_path / "run").incidents}
    assert incidents == {("error", True), ("crashed", False)}
    (verdicts,) = ({f.clause: f.verdict for f in fs} for fs in found.values())
    assert verdicts["contract.accepts"] == "conforms"
    assert verdicts["contract.completes"] == "crashed"


def test_a_cpu_target_of_jax_sees_no_gpu_and_takes_no_memory_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set stays; whoever lists the devices sees them all."""
    pytest.importorskip("jax")
    from bnspec.backends.jax.common import settle

    for name in ("XLA_PYTHON_CLIENT_PREALLOCATE", "JAX_PLATFORMS", devices.LISTING):
        monkeypatch.delenv(name, raising=False)
    settle("gpu:0")
    assert "JAX_PLATFORMS" not in os.environ
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    settle("cpu")
    assert os.environ.pop("JAX_PLATFORMS") == "cpu"
    monkeypatch.setenv(devices.LISTING, "1")
    settle("cpu")
    assert "JAX_PLATFORMS" not in os.environ
    os.environ.pop("XLA_PYTHON_CLIENT_PREALLOCATE")


def test_one_accelerator_has_one_number_whatever_frameworks_call_it() -> None:
    """cuda:1 and gpu:1 share their memory."""
    one, other, host = (targets_of(["numpy"], [d])[0] for d in ("cuda:1", "gpu:1", "cpu"))
    assert one.number == other.number == 1
    assert host.number is None
