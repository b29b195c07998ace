"""Every cheating backend is rejected by the probe that is there for it; an honest layer by none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.benchmarks.cheat_proof import Trial, prove
from bnspec.benchmarks.cheats import CHEATS
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.timing.output_verdicts import Prepared
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.cli import main

#: The habits that timings are known to hide, each with the cheats that have it.
HABITS = {
    "no sync": {"NoSync", "FilledLater"},
    "dead output": {"DeadOutput"},
    "replayed output": {"ReplayedOutput"},
    "constant folding": {"ConstantFolding"},
    "stale output": {"StaleOutput"},
    "mutated input": {"MutatedInput"},
    "wrong mode": {"WrongMode", "WrongModeOfState"},
    "changed dtype": {"ChangedDtype"},
}


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    """All cheats, and the backend numpy."""
    return prove(["numpy"], 0.02)


@pytest.mark.parametrize("habit", HABITS)
def test_every_habit_is_planted_and_rejected_by_its_own_probe(habit: str, trials: list[Trial]) -> None:
    """On a call that is timed in blocks, and on one of milliseconds."""
    tried = [t for t in trials if t.name in HABITS[habit]]
    assert len(tried) == 2 * len(HABITS[habit])
    for trial in tried:
        assert trial.right, f"{trial.name}: {trial.timing.verdict}, {trial.objections}"


def test_no_cheat_is_without_a_habit() -> None:
    """The table above names them all."""
    assert set(CHEATS) == set().union(*HABITS.values())


def test_an_honest_backend_is_rejected_nowhere(trials: list[Trial]) -> None:
    """In four passes."""
    honest = [t for t in trials if t.honest]
    assert len(honest) == 8
    assert all(t.right and t.timing.verdict == "conforms" for t in honest)


@pytest.mark.parametrize("regime", ["constant", "subnormal", "offset"])
@pytest.mark.parametrize("pass_name", ["training", "training_gradients", "inference", "frozen"])
def test_an_honest_layer_is_not_rejected_for_values_that_leave_no_trace(
    pass_name: str, regime: str, numpy_worker: Worker
) -> None:
    """Where x is constant or drowns in epsilon, y is beta whatever x is: no proof of a constant."""
    workload = Workload("odd values", (64, 5), 1, "float32", pass_name, regime)
    timing, _ = measure(numpy_worker, Prepared(workload), {"seconds": 0.002, "probes": True})
    assert timing.verdict == "conforms", timing.message


def test_the_results_of_a_timed_call_are_judged_even_without_probes() -> None:
    """The witness is drawn by lot while the calls run: who computes only what is looked at is caught in every process."""
    with Worker(Entry("DeadOutput", "bnspec.benchmarks.cheats.backends:DeadOutput"), "cpu") as worker:
        workload = Workload("witness", (64, 5), 1, "float32", "training_gradients")
        timing, _ = measure(worker, Prepared(workload), {"seconds": 0.005, "probes": False})
    assert timing.verdict == "rejected"
    assert "of a timed call" in timing.probes["computes_every_output"]


def test_the_command_prints_every_trial(monkeypatch: pytest.MonkeyPatch, capsys: Any, trials: list[Trial]) -> None:
    """Exit status 1 when one is wrong."""
    monkeypatch.setattr("bnspec.benchmarks.cheat_proof.prove", lambda *_, **__: trials)
    assert main(["cheats", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == len(trials)
    assert main(["cheats"]) == 0
    assert "20 of 20 cheats rejected" in capsys.readouterr().out
    blind = [Trial(t.name, t.workload, False, "a probe that is blind", t.timing) for t in trials]
    monkeypatch.setattr("bnspec.benchmarks.cheat_proof.prove", lambda *_, **__: blind)
    assert main(["cheats"]) == 1


def test_an_unknown_backend_is_refused(capsys: Any) -> None:
    """Before any cheat is tried."""
    assert main(["cheats", "--backend", "nunpy"]) == 2
    assert "no backend matches 'nunpy'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pass_name", "regime", "asked"),
    [("inference", "ordinary", True), ("training", "constant", False), ("fit", "ordinary", False)],
)
def test_a_probe_that_cannot_be_asked_is_left_out(
    pass_name: str, regime: str, asked: bool, numpy_worker: Worker
) -> None:
    """It is neither passed nor objected to."""
    workload = Workload("small", (64, 5), 1, "float32", pass_name, regime)
    timing, _ = measure(numpy_worker, Prepared(workload), {"seconds": 0.002, "probes": True})
    assert ("depends_on_its_inputs" in timing.probes) is asked
    assert ("moves_the_state_of_its_mode" in timing.probes) is (pass_name != "fit")
    assert ("results_keep_their_values" in timing.probes) is (pass_name != "fit")
