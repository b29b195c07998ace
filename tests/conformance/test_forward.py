"""Backends that compute no gradients are asked the forward pass of every case, and what they decline stays declined."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnspec.backends.harness.targets import targets_of
from bnspec.clauses import select_asked
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.effort import fixed_cases
from bnspec.conformance.cases.extents_and_memory import coincidences
from bnspec.conformance.cases.forward import offered
from bnspec.conformance.cases.programs import relation_case
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.settings import RunSettings
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.records import Finding
from bnspec.reports.run.store import RunWriter, read_run

FORWARD, TRAINING = Conventions(gradient_modes=()), Conventions(gradient_modes=("training",))
SILENT = """
import dataclasses
from example_adapters import GuessesTheAxis

class Silent(GuessesTheAxis):
    conventions = dataclasses.replace(GuessesTheAxis.conventions, gradient_modes=("training", "inference"))
"""
ASKED = ("layout.axis", "inference.output", "gradient.inference_dx", "gradient.linear_in_the_cotangent")


def calls(case: Case) -> list[str]:
    """The names of its calls."""
    return [step.call.name for step in case.steps]


def test_a_backend_with_gradients_is_asked_the_case_itself() -> None:
    """Not a copy of it."""
    assert all(offered(case, Conventions()) is case for case in fixed_cases())


def test_every_call_with_gradients_becomes_its_forward_pass() -> None:
    """But one that is malformed by its cotangent; a mask, the order and the arrays stay."""
    for case in fixed_cases():
        given = offered(case, FORWARD)
        for step, new in zip(case.steps, given.steps, strict=True):
            assert (step.call.mode, step.fresh, step.refused) == (new.call.mode, new.fresh, new.refused)
            assert step.call.has_mask == new.call.has_mask
            if new.call.has_gradients:
                assert len({case.arrays[name].shape for name in step.inputs}) > 1
                assert step.refused
        assert given is case or given.id != case.id
        assert given is case or Case.loads(given.dumps()).id == given.id


def test_cases_stay_different_cases() -> None:
    """Runs are merged by the ids of cases."""
    assert len({offered(case, FORWARD).id for case in fixed_cases()}) == len({case.id for case in fixed_cases()})


def test_a_mode_with_gradients_keeps_them() -> None:
    """Training alone."""
    case = batch_norm_case(Plan(Form((4, 3), 1)))
    left = {name for name in calls(offered(case, TRAINING)) if name.endswith("gradients")}
    assert left == {"training_gradients"}


def test_a_relation_between_cotangents_is_not_asked_of_a_forward_pass() -> None:
    """It would hold whatever the backend computes; one between x stays."""
    case = relation_case(Plan(Form((4, 3), 1)))
    relations = {str(step.option("relation")) for step in case.steps}
    left = {str(step.option("relation")) for step in offered(case, FORWARD).steps}
    assert {name for name in relations if name.startswith("cotangent")}
    assert left == {name for name in relations if not name.startswith("cotangent")}


def judged(path: Path, adapter: str, cases: list[Case]) -> dict[str, Finding]:
    """The findings of an adapter, by clause."""
    settings = RunSettings(select_asked(ASKED), 0.0, 0.0, jobs=1, assist=False)
    with RunWriter.create(path, new_manifest("verify", "", 1, "quick", {})) as writer:
        run_targets(targets_of([adapter], ["cpu"]), CasePool(cases), settings, writer, lambda *_: None)
    return {f.clause: f for f in read_run(path).findings}


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_fault_of_the_forward_pass_is_found_in_cases_with_gradients(tmp_path: Path) -> None:
    """An axis that is guessed by its extent shows where extents coincide; those cases ask for gradients."""
    cases = [batch_norm_case(plan) for _, plan in coincidences()]
    assert all(any(name.endswith("gradients") for name in calls(case)) for case in cases)
    right = judged(tmp_path / "right", "example_adapters:ForwardAlone", cases)
    assert {c: f.verdict for c, f in right.items()} == {
        "layout.axis": "conforms",
        "inference.output": "conforms",
        "gradient.inference_dx": "declined",
        "gradient.linear_in_the_cotangent": "not_exercised",
    }
    assert right["gradient.inference_dx"].declined == len(cases)
    wrong = judged(tmp_path / "wrong", "example_adapters:GuessesTheAxis", cases)
    assert wrong["layout.axis"].verdict == "deviates"
    assert wrong["gradient.inference_dx"].verdict == "declined"


@pytest.mark.usefixtures("example_adapters_on_path")
def test_an_own_adapter_that_declares_nothing_is_found_to_be_forward_only(tmp_path: Path) -> None:
    """By calls; one that has gradients keeps them."""
    (tmp_path / "silent.py").write_text(SILENT)
    cases = [batch_norm_case(plan) for _, plan in coincidences()]
    wrong = judged(tmp_path / "wrong", f"{tmp_path / 'silent.py'}:Silent", cases)
    assert wrong["layout.axis"].verdict == "deviates"
    assert wrong["gradient.inference_dx"].verdict == "declined"
    (opened,) = read_run(tmp_path / "wrong").targets
    assert opened.conventions["gradient_modes"] == []
    judged(tmp_path / "right", "bnspec.backends.numpy.specification:NumpySpec", cases[:1])
    (opened,) = read_run(tmp_path / "right").targets
    assert opened.conventions["gradient_modes"] == ["training", "inference"]
