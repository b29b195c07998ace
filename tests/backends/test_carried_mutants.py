"""Carried mutants: their arrays lie in the tensors of another backend, and nothing that they do is hidden on the way."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.clauses import ASKED
from bnspec.cli import main
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.selftest.catalogue.catalogue import ALL
from bnspec.conformance.selftest.matrix.matrix import fingerprint
from bnspec.conformance.selftest.reference.carried_adapter import CarriedAdapter
from bnspec.conformance.selftest.reference.full_layer import FullAdapter
from bnspec.model.case import Case
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.store import read_run
from tests.support.away import AwayMemory

BY_NAME = {entry.name: entry for entry in ALL}
#: One of each way to reach memory that is not one's own, on the host or on the device, and two whose numbers alone are wrong.
WRONG = (
    "writes_into_input",
    "writes_into_cotangent",
    "writes_into_gamma",
    "returns_beta_itself",
    "returns_dx_in_cotangent",
    "result_memory_reused",
    "fit_writes_into_chunks",
    "epsilon_outside_root",
    "momentum_complemented",
)


def small_cases() -> list[Case]:
    """Of a quick run, without networks."""
    return [c for c in cases_of("quick", 1) if c.elements < 2000 and c.subject != "network"]


def killers(name: str, case: Case) -> set[str]:
    """The clauses that the mutant breaks on the case in the memory of the device."""
    adapter = CarriedAdapter(BY_NAME[name].adapter_class()(), AwayMemory())
    found = judge(case, run_case(adapter, *case.header()), adapter.conventions, Oracle(case), checks_for(ASKED))
    return {c for c, j in found.items() if j is not None and not j.holds}


@pytest.mark.parametrize("name", WRONG)
def test_a_carried_mutant_is_killed_by_its_own_clause(name: str) -> None:
    """Writes, aliases and wrong numbers are seen in the device's memory."""
    entry = BY_NAME[name]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        assert any(killers(name, c) & set(entry.killed_by) for c in small_cases() if entry.applies_to(c))


def test_a_correct_layer_is_observed_alike_when_carried() -> None:
    """Values, state, aliases and refusals: the memory alone is another."""
    host, carried = FullAdapter(), CarriedAdapter(FullAdapter(), AwayMemory())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for case in small_cases()[::4]:
            assert fingerprint(run_case(carried, *case.header())) == fingerprint(run_case(host, *case.header())), (
                case.id
            )


def test_what_is_written_on_the_device_is_read_by_the_next_call() -> None:
    """The device's memory is the layer's: a value that is set there is the one that it computes with."""
    carried = CarriedAdapter(FullAdapter(), AwayMemory())
    case = next(c for c in small_cases() if c.subject == "batch_norm" and c.config.affine)
    tensors = {n: carried.tensor(a.copy()) for n, a in case.arrays.items()}
    names = ("gamma", "beta", "running_mean", "running_var")
    layer = carried.layer(case.config, *(tensors[n] for n in names))
    beta = tensors["beta"]
    carried.carrier.overwrite(beta.block.tensor, np.zeros_like(beta.block.tensor))
    zero = np.zeros_like(case.arrays["gamma"])
    carried.carrier.overwrite(tensors["gamma"].block.tensor, zero.view(np.uint8).reshape(-1))
    assert not carried.array(layer.training(tensors["x"])).any()


def test_blocks_are_forgotten_with_their_arrays() -> None:
    """Or each case would be sent again with all that come after it."""
    carried = CarriedAdapter(FullAdapter(), AwayMemory())
    tensor = carried.tensor(np.ones(3))
    assert len(carried._blocks) == 1
    del tensor
    assert not carried._blocks


def test_the_command_runs_them_in_a_backends_tensors(tmp_path: Path) -> None:
    """Each in a worker of its own, until it is killed; the run says where."""
    pytest.importorskip("torch")
    words = ["mutants", "--name", "writes_into_gamma", "--backend", "torch.nn", "--until-killed"]
    assert main([*words, "--out", str(tmp_path / "run"), "--json"]) == 0
    run = read_run(tmp_path / "run")
    assert run.manifest.options["backend"] == "torch.nn"
    assert run.mutants[0].killed_by_family


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--device", "cuda:0"], "no backend is named"),
        (["--device", "cuda:0", "--backend", "numpy"], "runs on cpu only"),
        (["--backend", "numpy"], "tensors of this backend cannot be written to"),
        (["--device", "c.pu", "--backend", "numpy"], "is no single device"),
        (["--device", "*", "--backend", "torch.nn"], "'*' is no single device"),
        (["--device", ""], "'' is no single device"),
        (["--backend", "package.module:Class"], "is not one registered backend"),
        (["--backend", "a/file.py:Class"], "does not exist"),
    ],
)
def test_what_cannot_hold_them_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    """Status 2, with the reason, before a run directory is made."""
    assert main(["mutants", "--name", "writes_into_gamma", *words, "--out", str(tmp_path / "run")]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()
