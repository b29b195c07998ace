"""Causes: one for each defect, none that hides a finding, the most ordinary first."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.cli import main
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import EFFORTS
from bnspec.conformance.causes.causes import Examined, causes_of
from bnspec.conformance.causes.experiments import Experiments
from bnspec.conformance.selftest.catalogue.catalogue import select
from bnspec.conformance.selftest.grouping.grouping import Grouped, causes_of_layer
from bnspec.conformance.selftest.reference.full_layer import FullAdapter, FullLayer
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.store import read_run
from bnspec.reports.run.vocabulary import FAILING
from bnspec.reports.summary.causes import count_sentence
from tests.support.deviations import KNOWN, deviation

SMALL = 400
#: Mutants that are one cause; in the second row, those that take longer.
FAST = ("momentum_complemented", "beta_lost_at_zero_gamma", "no_cotangent_is_ones", "corrected_twice")
SLOW = (
    "epsilon_outside_root",
    "root_forgotten",
    "running_statistics_from_the_second_step",
    "decay_zero_is_default",
    "inverse_deviation_stored",
    "mean_subtracted_twice",
    "odd_value_lost",
    "returns_beta_itself",
    "epsilon_missing_in_backward",
    "epsilon_scaled_by_the_input",
)
SHRINK_SECONDS = 1.5


@pytest.fixture(scope="module")
def cases() -> dict[Case, Oracle]:
    """The small cases of the catalogue, with oracles that all tests share."""
    small = (c for c in catalogue() if max(a.size for a in c.arrays.values()) <= SMALL)
    return {c: Oracle(c) for c in small}


def causes_behind(names: Sequence[str], cases: dict[Case, Oracle]) -> Grouped:
    """The causes of a layer with the defects of these mutants."""
    entries = select(names, "mutant")
    first = entries[0]
    layer = type("Layer", tuple(e.implementation for e in entries), {})
    slot = "scaler_class" if first.is_scaler else "layer_class"
    adapter = type("Adapter", (first.adapter_class(),), {slot: layer})("cpu")
    return causes_of_layer(adapter, {c: o for c, o in cases.items() if first.applies_to(c)}, "layer", SHRINK_SECONDS)


@pytest.mark.parametrize(
    "name",
    [
        *FAST,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
    ],
)
def test_a_mutant_has_one_cause_of_its_own_family(name: str, cases: dict[Case, Oracle]) -> None:
    """However many clauses show it."""
    found = causes_behind([name], cases)
    assert found.names(select([name])[0]), [(c.clause, c.conditions, c.also) for c in found.judged]


@pytest.mark.parametrize(
    ("names", "families"),
    [
        (("beta_lost_at_zero_gamma", "corrected_twice"), {"affine", "running"}),
        (("gamma_gradient_missing", "decay_zero_is_default"), {"contract", "running"}),
        *(
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in (
                (("epsilon_outside_root", "momentum_complemented"), {"epsilon", "running"}),
                (("root_forgotten", "decay_zero_is_default"), {"training", "running"}),
            )
        ),
    ],
)
def test_two_defects_are_two_causes(names: tuple[str, str], families: set[str], cases: dict[Case, Oracle]) -> None:
    """Each of its own family."""
    found = causes_behind(names, cases)
    assert sorted(c.family for c in found.judged) == sorted(families)


class ReadsStridedTwice(FullLayer):
    """Doubles what is not packed."""

    def values(self, array: np.ndarray) -> np.ndarray:
        return np.asarray(super().values(array)) * (1 if array.flags.c_contiguous else 2)


@pytest.mark.parametrize("experiments", range(1, 12))
def test_where_time_is_up_no_condition_is_said_that_may_be_another(experiments: int) -> None:
    """More values are packed, too: that the layer needs few of them is said only where strides were looked at."""
    adapter = type("Adapter", (FullAdapter,), {"layer_class": ReadsStridedTwice})("cpu")
    case = batch_norm_case(Plan(Form((2, 1), 1), layout="stepped", state="initial", gamma="ones"))
    ticks = itertools.count()

    def observe(run: Case) -> Observation:
        return run_case(adapter, *run.header())

    found = Experiments(observe, adapter.conventions, ["inference.output"], experiments, clock=lambda: next(ticks))
    needed = found.needed("inference.output", case, 0, frozenset())
    assert {c.feature for c in needed.conditions} <= {"layout of x"}
    assert needed.conditions or found.cut


def test_without_time_every_finding_is_a_cause_that_says_so() -> None:
    """The budget is stated, and the most ordinary comes first whatever the ratio."""
    case = batch_norm_case(Plan(Form((4, 3), 1)))
    y = deviation("training.output", "y").finding
    mean = deviation("running.mean", "running_mean", ratio="inf").finding

    def observe(_: Case) -> Observation:
        raise AssertionError("there is no time")

    target = Examined(observe, FullAdapter.conventions, lambda case: case.id)
    found = causes_of(target, [mean, y], dict.fromkeys((y.clause, mean.clause), case), -1.0)
    assert sorted(c.clause for c in found) == ["running.mean", "training.output"]
    assert all("stopped after" in c.cut for c in found)
    known = msgspec.structs.replace(found[0], known=(KNOWN,), also=("running.var",))
    assert count_sentence([known, found[1]]) == "2 causes (1 known) behind 3 clauses"


@pytest.mark.usefixtures("example_adapters_on_path")
def test_one_fault_is_one_cause_and_every_finding_belongs_to_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epsilon outside the root shows in clauses of two families, and is said once; grouping hides nothing."""
    unhurried = dataclasses.replace(EFFORTS["quick"], shrink_seconds=60.0, cause_seconds=60.0)
    monkeypatch.setitem(EFFORTS, "quick", unhurried)  # on a busy machine, experiments that are cut separate nothing
    path = tmp_path / "run"
    asked = ("--clause", "epsilon", "--clause", "training", "--out", str(path))
    assert main(["verify", "--backend", "example_adapters:Wrong", *asked]) == 1
    run = read_run(path)
    failing = sorted(f.clause for f in run.findings if f.verdict in FAILING)
    assert len(failing) > 1
    assert sorted(clause for cause in run.causes for clause in cause.clauses) == failing
    [cause] = [c for c in run.causes if c.level == "MUST"]
    assert cause.family in ("epsilon", "training")
    assert cause.also
    assert cause.case
    assert (path / cause.case).is_file()
    assert "1 cause behind" in capsys.readouterr().out
    assert main(["causes", str(path)]) == 0
    assert cause.clause in capsys.readouterr().out
    assert main(["causes", str(path), "--json"]) == 0
    assert cause.clause in json.dumps(json.loads(capsys.readouterr().out))


def test_causes_of_what_is_no_run_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, what, why and fix."""
    assert main(["causes", "no/such/run"]) == 2
    assert "Fix:" in capsys.readouterr().err
