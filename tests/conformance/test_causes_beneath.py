"""A second deviation of a clause, on cases to which the first does not reach."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.programs import initial_case
from bnspec.conformance.cases.shrinking import with_steps
from bnspec.conformance.causes.beneath import attributed, may_hide, needs_others, reaches, unreached
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.grouping import grouped
from bnspec.conformance.causes.united import united
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.judge.tally import Judged, Tally
from bnspec.conformance.run.smallest import smallest
from bnspec.conformance.selftest.grouping.grouping import causes_of_layer
from bnspec.conformance.selftest.reference.full_layer import FullAdapter, FullLayer
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.evidence import KnownDeviation
from bnspec.reports.run.records import Finding
from bnspec.reports.summary.causes import count_sentence
from tests.support.deviations import KNOWN, LARGE, deviation, needing, with_relation


def one_call(plan: Plan) -> Case:
    """A training step of a case alone."""
    case = batch_norm_case(plan)
    step = next(s for s in case.steps if s.call.name == "training")
    return next(with_steps(case, (step,)))


PLAIN = one_call(Plan(Form((6, 3), 1)))
STEPPED = one_call(Plan(Form((6, 3), 1), layout="stepped"))
HALF = one_call(Plan(Form((6, 3), 1, "float16")))
STRIDES, DTYPE = Condition("layout of x", "x strides", "packed"), Condition("dtype", "float16", "float32")


class ReadsStridedBackwards(FullLayer):
    """Reads what is not packed from its end, and every y in float64 is a little too large."""

    def values(self, array: np.ndarray) -> np.ndarray:
        wide = np.asarray(super().values(array))
        return wide if array.flags.c_contiguous else wide.ravel()[::-1].reshape(wide.shape)

    def output(self, x: np.ndarray, mean: np.ndarray, inv_std: np.ndarray) -> np.ndarray:
        found = np.asarray(super().output(x, mean, inv_std))
        return found * 1.001 if self.config.dtype == "float64" else found


def y_needing(*conditions: Condition) -> Deviation:
    """A wrong y that needs this."""
    return dataclasses.replace(deviation("training.output", "y", ratio="inf"), conditions=conditions)


def test_a_case_is_reached_that_has_all_that_is_needed() -> None:
    """Values only make an error large enough, and what else its size depends on; of conditions none, every case is reached."""
    assert reaches(y_needing(), PLAIN)
    assert reaches(y_needing(STRIDES), STEPPED)
    assert not reaches(y_needing(STRIDES), PLAIN)
    assert not reaches(y_needing(STRIDES, DTYPE), STEPPED)
    values = Condition("values of x", "as in the case", "standard normal")
    assert reaches(y_needing(values), PLAIN)
    assert not reaches(y_needing(Condition("values of x", "NaN or infinite", "standard normal")), PLAIN)
    like, other = (Condition("epsilon", f"{k * PLAIN.config.epsilon:g}", "1") for k in (2, 1e6))
    assert reaches(y_needing(like), PLAIN)
    assert not reaches(y_needing(other), PLAIN)
    assert reaches(y_needing(other, values), PLAIN)
    restored = next(c for c in catalogue() if any(s.call.name == "save_restore" for s in c.steps[:-1]))
    after = Condition("history", "after save_restore", "a new layer")
    assert reaches(y_needing(after), restored)
    assert not reaches(y_needing(after), PLAIN)
    changed = next(c for c in catalogue() if any(s.call.name == "set_decay" for s in c.steps[:-1]))
    assert reaches(y_needing(Condition("decay", "1", "0.9")), changed)


def test_only_what_judges_a_result_hides_another() -> None:
    """And only where it does not reach every case."""
    y = deviation("training.output", "y")
    assert not may_hide(y)
    assert may_hide(needing(y, "dtype"))
    assert not may_hide(needing(y, "count"))
    assert not may_hide(needing(y, "state"))  # its error is as small as roundings are
    assert not may_hide(needing(deviation("layout.strides", "y"), "dtype"))
    assert not may_hide(needing(with_relation(y, "finite"), "dtype"))


def test_what_needs_the_same_and_more_is_no_other() -> None:
    """Nor what needs values alone, nor a rounding error beside a large one; an operation between calls is a need of its own."""
    first = needing(deviation("training.output", "y", ratio="inf"), "epsilon")
    assert needs_others(needing(first, "dtype"), first)
    assert not needs_others(needing(first, "epsilon", "dtype"), first)
    assert not needs_others(needing(first, "values of x"), first)
    assert not needs_others(needing(deviation("training.output", "y"), "dtype"), first)
    values = Condition("values of x", "NaN or infinite", "standard normal")
    assert needs_others(dataclasses.replace(y_needing(), number=1), y_needing(values)), (
        "what is finite is another error"
    )
    reset, restored = (
        y_needing(Condition("history", f"after {name}", "a new layer")) for name in ("reset", "save_restore")
    )
    assert needs_others(reset, restored)
    assert not needs_others(reset, dataclasses.replace(reset, number=1))


def test_an_experiment_shows_what_reaches_its_case() -> None:
    """Where the clause is kept, none of its deviations is there; where none reaches, it shows another error, and says nothing."""
    y, first = y_needing(), y_needing(DTYPE)
    second = dataclasses.replace(y_needing(STRIDES), number=1)
    results = [
        (HALF, {"training.output": LARGE}),
        (STEPPED, {"training.output": LARGE, "running.mean": 2.0}),
        (PLAIN, {"training.output": 0.5}),
        (PLAIN, {"training.output": LARGE, "running.mean": 2.0}),
    ]
    assert attributed(results, [first, second]) == [
        {first.key: LARGE, second.key: 1.0},
        {first.key: 1.0, second.key: LARGE, "running.mean": 2.0},
        {first.key: 0.5, second.key: 0.5},
        {"running.mean": 2.0},
    ]
    assert attributed(results, [first])[:2] == [{first.key: LARGE}, {"running.mean": 2.0}]
    assert attributed(results, [y]) == [outcome for _, outcome in results]
    assert len(grouped([first, second], [])) == 2


@pytest.fixture(scope="module")
def small() -> dict[Case, Oracle]:
    """Small cases, with their oracles."""
    return {c: Oracle(c) for c in catalogue() if max(a.size for a in c.arrays.values()) <= 400}


def test_a_fault_beneath_another_of_the_same_clause_is_a_cause(small: dict[Case, Oracle]) -> None:
    """The smallest case of y shows one of two faults: each is named by its own family, and has a case of its own."""
    adapter = type("Adapter", (FullAdapter,), {"layer_class": ReadsStridedBackwards})("cpu")
    found = causes_of_layer(adapter, small, "layer", 1.5).judged
    assert sorted({c.feature for cause in found for c in cause.conditions}) == ["dtype", "layout of x"], found
    assert len(found) == 2
    assert len({c.case for c in found}) == 2
    assert all("training.output" in c.clauses for c in found)


def known_where_strided(_: str, case: Case) -> KnownDeviation | None:
    """What is strided is known."""
    return KNOWN if reaches(y_needing(STRIDES), case) else None


def test_beside_a_known_deviation_a_new_one_is_shown_on_a_case_of_its_own() -> None:
    """A tally shows what no entry covers, and the search for a smaller case does not end in what one covers."""
    adapter = type("Adapter", (FullAdapter,), {"layer_class": ReadsStridedBackwards})("cpu")
    double = one_call(Plan(Form((20, 3), 1, "float64", "float64"), layout="stepped"))
    packed = one_call(Plan(Form((24, 3), 1, "float64", "float64")))
    judged = deviation_of(adapter, packed)
    tally = Tally[Judged]()
    for case, known in ((STEPPED, KNOWN), (packed, None), (double, KNOWN)):
        tally.add(deviation_of(adapter, case), known)
    assert tally.smallest is not None
    assert tally.smallest.case is packed
    assert (tally.failures, tally.covered, [j.case for j in tally.failing]) == (3, 2, [packed])

    def observe(case: Case) -> Observation:
        return run_case(adapter, *case.header())

    case, judgement = smallest(
        "training.output", judged, observe, adapter.conventions, 1.0, others=[STEPPED], known=known_where_strided
    )
    assert not judgement.holds
    assert case.elements < packed.elements
    assert known_where_strided("training.output", case) is None


def deviation_of(adapter: FullAdapter, case: Case) -> Judged:
    """y of the case, judged."""
    judgement = judge(case, run_case(adapter, *case.header()), adapter.conventions, Oracle(case)).get("training.output")
    assert judgement is not None
    return Judged(case, judgement)


def test_cases_are_looked_at_from_the_smallest_on() -> None:
    """Those that a deviation of the clause reaches are left out: in the call that deviates, or, where that is not known, in all."""
    adapter = type("Adapter", (FullAdapter,), {"layer_class": ReadsStridedBackwards})("cpu")
    smaller = one_call(Plan(Form((4, 3), 1), layout="stepped"))
    judged = [deviation_of(adapter, c) for c in (STEPPED, smaller)]
    half, strided = y_needing(DTYPE), y_needing(STRIDES)
    assert unreached(judged, [PLAIN], [half]) == [*judged[::-1], PLAIN]
    assert unreached(judged, [PLAIN, STEPPED], [strided]) == [PLAIN]


def test_a_merged_run_keeps_what_lies_beneath() -> None:
    """Two causes that one clause names; its other clauses as far as they fail. The clause is counted once."""
    finding = Finding("training.output", "training", "MUST", "b", "cpu", "deviates", 2, 1, 0, 2.0, case=None)
    first = Cause("training.output", "training", "MUST", "b", "cpu", also=("training.finite",), case="cases/a.json")
    beneath = msgspec.structs.replace(first, conditions=(DTYPE,), case="cases/b.json")
    made = united([finding], {"training.output": [first, beneath]})
    assert [(c.clauses, c.conditions) for c in made] == [(("training.output",), ()), (("training.output",), (DTYPE,))]
    assert count_sentence(made) == "2 causes behind 1 clause"


def test_a_reset_layer_begins_as_a_new_one() -> None:
    """What needs the layer's own values reaches what was reset, and the other way round."""
    own = Condition("initial values", "the layer's own", "given parameters and state")
    reset = Condition("history", "after training, reset", "a new layer")
    assert not needs_others(y_needing(reset), y_needing(own))
    case = initial_case(Plan(Form((4, 3), 1)))
    step = next(k for k in range(len(case.steps)) if case.steps[case.built_at(k)].option("initial"))
    assert reaches(y_needing(reset), case, [step])
    after = next(c for c in catalogue() if any(s.call.name == "reset" for s in c.steps[:-1]))
    assert reaches(y_needing(own), after)
    assert not reaches(y_needing(own), PLAIN)
