"""Every cheating backend is rejected by its own probe; an honest one by none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.benchmarks.cheats import CHEATS
from bnspec.benchmarks.run.probe_check import ProbeCheck, check_probes
from bnspec.benchmarks.timing.judge_outputs import TimedCase
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.cli import main

#: The shortcuts that timings are known to hide, each with the cheats that take it.
SHORTCUTS = {
    "no sync": {"NoSync", "FilledLater"},
    "dead output": {"DeadOutput"},
    "replayed output": {"ReplayedOutput"},
    "constant folding": {"ConstantFolding"},
    "stale output": {"StaleOutput"},
    "mutated input": {"MutatedInput"},
    "wrong mode": {"WrongMode", "WrongModeOfState"},
    "changed dtype": {"ChangedDtype"},
    "another clock": {"OtherClock"},
}


@pytest.fixture(scope="module")
def checks() -> list[ProbeCheck]:
    """All cheats, and the backend numpy."""
    return check_probes(["numpy"], 0.02)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_every_shortcut_has_a_cheat_and_is_rejected_by_its_own_probe(shortcut: str, checks: list[ProbeCheck]) -> None:
    """On a call that is timed in blocks, and on one of milliseconds."""
    found = [c for c in checks if c.name in SHORTCUTS[shortcut]]
    assert len(found) == 2 * len(SHORTCUTS[shortcut])
    for check in found:
        assert check.right, f"{check.name}: {check.timing.verdict}, {check.rejections}"


def test_no_cheat_is_without_a_shortcut() -> None:
    """The table above names them all."""
    assert set(CHEATS) == set().union(*SHORTCUTS.values())


def test_an_honest_backend_is_rejected_nowhere(checks: list[ProbeCheck]) -> None:
    """In four passes."""
    honest = [t for t in checks if t.honest]
    assert len(honest) == 8
    assert all(t.right and t.timing.verdict == "conforms" for t in honest)


@pytest.mark.parametrize("regime", ["constant", "subnormal", "offset"])
@pytest.mark.parametrize("pass_name", ["training", "training_gradients", "inference", "frozen"])
def test_an_honest_layer_is_not_rejected_for_values_that_leave_no_trace(
    pass_name: str, regime: str, numpy_worker: Worker
) -> None:
    """Where x is constant or is negligible beside epsilon, y is beta whatever x is: that proves no constant."""
    workload = Workload("odd values", (64, 5), 1, "float32", pass_name, regime)
    timing, _ = measure(numpy_worker, TimedCase(workload), {"seconds": 0.002, "probes": True})
    assert timing.verdict == "conforms", timing.message


def test_the_results_of_a_timed_call_are_judged_even_without_probes() -> None:
    """The audited sample is drawn at random while the calls run: computing only the observed call is caught in every process."""
    with Worker(Entry("DeadOutput", "bnspec.benchmarks.cheats.backends:DeadOutput"), "cpu") as worker:
        workload = Workload("audited", (64, 5), 1, "float32", "training_gradients")
        timing, _ = measure(worker, TimedCase(workload), {"seconds": 0.005, "probes": False})
    assert timing.verdict == "rejected"
    assert "in a timed call" in timing.probes["computes_every_output"]


def test_the_command_prints_every_trial(monkeypatch: pytest.MonkeyPatch, capsys: Any, checks: list[ProbeCheck]) -> None:
    """Exit status 1 when one is wrong."""
    monkeypatch.setattr("bnspec.benchmarks.run.probe_check.check_probes", lambda *_, **__: checks)
    assert main(["cheats", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["checks"]) == len(checks)
    assert main(["cheats"]) == 0
    assert "22 of 22 cheats rejected" in capsys.readouterr().out
    blind = [ProbeCheck(t.name, t.workload, False, "a probe that is blind", t.timing) for t in checks]
    monkeypatch.setattr("bnspec.benchmarks.run.probe_check.check_probes", lambda *_, **__: blind)
    assert main(["cheats"]) == 1


def test_an_unknown_backend_is_refused(capsys: Any) -> None:
    """Before any cheat runs."""
    assert main(["cheats", "--backend", "nunpy"]) == 2
    assert "no backend matches 'nunpy'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pass_name", "regime", "applies"),
    [("inference", "ordinary", True), ("training", "constant", False), ("fit", "ordinary", False)],
)
def test_a_probe_that_does_not_apply_is_left_out(
    pass_name: str, regime: str, applies: bool, numpy_worker: Worker
) -> None:
    """It neither passes nor rejects."""
    workload = Workload("small", (64, 5), 1, "float32", pass_name, regime)
    timing, _ = measure(numpy_worker, TimedCase(workload), {"seconds": 0.002, "probes": True})
    assert ("depends_on_its_inputs" in timing.probes) is applies
    assert ("moves_the_state_of_its_mode" in timing.probes) is (pass_name != "fit")
    assert ("results_keep_their_values" in timing.probes) is (pass_name != "fit")
