"""Causes: one for each defect, none that hides a finding, the most ordinary first."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.clauses import ASKED, CLAUSES
from bnspec.cli import main
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import EFFORTS, cases_of
from bnspec.conformance.cases.programs import initial_case
from bnspec.conformance.causes.causes import causes_of
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.experiments import with_other_calls
from bnspec.conformance.causes.features import FEATURES
from bnspec.conformance.causes.grouping import grouped
from bnspec.conformance.causes.record import cause_of
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.catalogue.catalogue import select
from bnspec.conformance.selftest.grouping.grouping import Grouped, causes_of_layer
from bnspec.conformance.selftest.reference.full_layer import FullAdapter
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.causes import Condition
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.records import Finding
from bnspec.reports.run.store import read_run
from bnspec.reports.run.vocabulary import FAILING
from bnspec.reports.summary.causes import count_sentence, needs

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
SHRINK_SECONDS, LARGE = 1.5, 1e6
KNOWN = KnownDeviation(kind="bug", reason="it is so.", conditions="always", package="alpha", versions=">=1")


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


def deviation(clause: str, output: str, call: str = "training_gradients", **changes: object) -> Deviation:
    """A finding of a clause about one output."""
    c = CLAUSES[clause]
    evidence = Evidence(step=0, call=call, relation="within_bound", output=output, index=(0,), ratio=2.0)
    finding = Finding(clause, c.family, c.level, "alpha", "cpu", "deviates", 3, 1, 0, 2.0, evidence=evidence)
    return Deviation(msgspec.structs.replace(finding, **changes))


@pytest.mark.parametrize("seed", range(50))
def test_every_finding_belongs_to_exactly_one_cause(seed: int) -> None:
    """Whatever the experiments say."""
    draw = random.Random(seed)
    clauses = draw.sample(sorted(ASKED), 12)
    calls = ("training_gradients", "inference_gradients", "fit", "transform", "learn", "save_restore")
    deviations = [
        deviation(
            c,
            draw.choice(("y", "dx", "dgamma", "running_var")),
            draw.choice(calls),
            known=(KNOWN,) if draw.random() < 0.2 else (),
        )
        for c in clauses
    ]
    outcomes = [{c: draw.choice((0.0, 2.0, 2e6)) for c in clauses if draw.random() < 0.7} for _ in range(6)]
    groups = grouped(deviations, outcomes)
    assert sorted(d.finding.clause for g in groups for d in g) == sorted(clauses)


def test_what_is_known_and_what_is_not_are_two_causes() -> None:
    """A known deviation hides nothing, and is one cause whatever the quantities."""
    dx = deviation("gradient.training_dx", "dx", known=(KNOWN,))
    mean = deviation("running.mean", "running_mean", known=(KNOWN,))
    new = deviation("gradient.training_dgamma", "dgamma")
    groups = grouped([dx, mean, new], [{d.finding.clause: LARGE for d in (dx, mean, new)}])
    assert sorted(len(g) for g in groups) == [1, 2]


def test_an_experiment_separates() -> None:
    """Errors of y explain errors of dx, unless dx deviates where y does not."""
    y, dx = deviation("training.output", "y"), deviation("gradient.training_dx", "dx")
    both = {"training.output": LARGE, "gradient.training_dx": LARGE}
    assert len(grouped([y, dx], [both])) == 1
    assert len(grouped([y, dx], [both, {**both, "training.output": 0.0}])) == 2
    assert len(grouped([y, dx], [both, {**both, "gradient.training_dx": 0.0}])) == 1


def needing(found: Deviation, *features: str) -> Deviation:
    """The deviation with conditions."""
    return dataclasses.replace(found, conditions=tuple(Condition(f, "unusual", "usual") for f in features))


def test_a_cause_is_named_in_words_that_are_true_of_it() -> None:
    """What needs strided parameters is no misread axis; what needs a rank is, unless gradients alone are wrong."""
    y, dx = deviation("training.output", "y"), deviation("gradient.training_dx", "dx")
    axis = deviation("layout.axis", "dx")

    def name(feature: str, *found: Deviation) -> str:
        [group] = grouped(
            [needing(d, feature) for d in (*found, axis)], [{d.finding.clause: LARGE for d in (*found, axis)}]
        )
        return group[0].finding.clause

    assert name("layout of the parameters", dx) == "gradient.training_dx"
    assert name("rank", dx) == "gradient.training_dx"
    assert name("rank", y, dx) == "layout.axis"


def test_a_network_shows_the_errors_of_its_layer() -> None:
    """It follows from an error of any rank, not from one of memory that no network has."""
    y, network = deviation("training.output", "y"), deviation("placement.trajectory", "w1", "learn")
    assert len(grouped([needing(y, "rank"), network], [])) == 1
    assert len(grouped([needing(y, "layout of x"), network], [])) == 2


def test_what_nobody_examined_names_no_cause() -> None:
    """Conditions that are not known are not none."""
    y = dataclasses.replace(deviation("inference.output", "y", "inference"), examined=False)
    many = needing(deviation("training.output", "y"), "many channels")
    [group] = grouped([y, many], [{"inference.output": LARGE, "training.output": LARGE}])
    assert group[0].finding.clause == "training.output"


def test_a_feature_that_cannot_be_made_ordinary_separates_nothing() -> None:
    """The clause that needs less as far as is known names the cause only if it is known to need less."""
    row = dataclasses.replace(
        needing(deviation("inference.value_is_independent_of_batch", "y", "inference"), "state"),
        unknown=frozenset({"rank"}),
    )
    y = needing(deviation("inference.output", "y", "inference"), "state", "rank")
    dgamma = needing(deviation("gradient.inference_parameters", "dgamma", "inference_gradients"), "state", "rank")
    only = [{d.finding.clause: LARGE} for d in (row, y, dgamma)]
    [group] = grouped([row, y, dgamma], only)
    assert group[0] is y
    assert len(grouped([dataclasses.replace(row, unknown=frozenset()), y, dgamma], only)) == 2


def test_statistics_that_training_leaves_are_a_state() -> None:
    """Beside a rank that both need; alone, a history and a state are two things."""
    y = deviation("inference.output", "y", "inference")
    after = dataclasses.replace(
        needing(deviation("inference.follows_training", "y", "inference"), "rank"),
        conditions=(Condition("history", "after training", "a new layer"), Condition("rank", "rank 4", "rank 2")),
    )
    only = [{d.finding.clause: LARGE} for d in (y, after)]
    assert len(grouped([needing(y, "state", "rank"), after], only)) == 1
    assert len(grouped([needing(y, "state"), dataclasses.replace(after, conditions=after.conditions[:1])], only)) == 2


def test_a_parameter_shows_where_all_are_misread() -> None:
    """A layer that reverses its parameters where the channels come first needs that, whichever parameter shows it."""
    y = needing(deviation("training.output", "y"), "beta", "rank")
    mean = needing(deviation("running.mean", "running_mean"), "state", "rank")
    only = [{d.finding.clause: LARGE} for d in (y, mean)]
    assert len(grouped([y, mean], only)) == 1
    assert len(grouped([needing(y, "beta"), needing(mean, "state")], only)) == 2


def test_words_that_fit_come_before_levels() -> None:
    """A SHOULD that speaks of what is needed names the cause, which is as grave as a MUST that shows it; a MAY names none."""
    y = needing(deviation("inference.output", "y", "inference"), "dtype")
    narrowed = needing(deviation("dtype.parameters_are_not_narrowed", "y", "inference"), "dtype")
    both = [{d.finding.clause: LARGE for d in (y, narrowed)}]
    [group] = grouped([y, narrowed], both)
    cause = cause_of([d.finding for d in group], y.conditions, 1, "")
    assert (cause.clause, cause.level) == (narrowed.finding.clause, "MUST")
    assert needs(cause).endswith("; shows in inference.output, a MUST")
    chosen = needing(deviation("special.overflow_is_not_finite", "y", "inference", level="MAY"), "dtype")
    assert chosen not in [g[0] for g in grouped([y, chosen], [{d.finding.clause: LARGE for d in (y, chosen)}])]


def test_a_malformed_call_is_said_to_be_one() -> None:
    """What needs one in its history is a matter of errors."""
    y = deviation("inference.output", "y", "inference")
    after = Condition("history", "after malformed training", "a new layer")
    continues = dataclasses.replace(
        deviation("errors.continue_as_if_not_called", "y", "inference"), conditions=(after,)
    )
    found = [dataclasses.replace(y, conditions=(after,)), continues]
    [group] = grouped(found, [{d.finding.clause: LARGE for d in found}])
    assert group[0] is continues


def test_a_narrower_bound_may_need_values_that_are_large_enough() -> None:
    """An error within the bounds of other clauses depends on the state; in another quantity it is another error."""
    var, digit = deviation("running.var", "running_var"), deviation("accuracy.keeps_a_digit", "running_var")
    digit = needing(digit, "values of x", "state", "extents")
    assert len(grouped([var, digit], [])) == 1
    assert (
        len(
            grouped(
                [var, dataclasses.replace(digit, finding=deviation("accuracy.keeps_a_digit", "dgamma").finding)], []
            )
        )
        == 2
    )


def test_the_first_axis_is_a_feature() -> None:
    """Rank 2 is ordinary where the channels are on the second axis."""
    case = batch_norm_case(Plan(Form((4, 3), 0)))
    rank = next(f for f in FEATURES if f.name == "rank")
    changed = rank.changed(case, 0)
    assert changed is not None
    assert np.array_equal(changed.arrays["x"], case.arrays["x"].T)
    assert not rank.value(changed, 0)


def test_initial_values_are_a_feature() -> None:
    """Those of the layer become those that it is given."""
    case = initial_case(Plan(Form((4, 3), 1)))
    feature = next(f for f in FEATURES if f.name == "initial values")
    changed = feature.changed(case, 0)
    assert changed is not None
    assert (feature.value(case, 0), feature.value(changed, 0)) == ("the layer's own", "")


def test_another_dtype_keeps_the_strides() -> None:
    """Counted in elements: a reversed array stays reversed."""
    case = batch_norm_case(Plan(Form((4, 3), 1, "float64", "float64"), layout="reversed"))
    changed = next(f for f in FEATURES if f.name == "dtype").changed(case, 0)
    assert changed is not None
    before, after = case.arrays["x"], changed.arrays["x"]
    assert after.dtype == np.float32
    assert [s // 4 for s in after.strides] == [s // 8 for s in before.strides]
    assert np.array_equal(after, before.astype(np.float32))


def test_an_error_within_its_bound_separates_nothing() -> None:
    """The mean has errors ten times smaller than y: it is kept where y deviates by little. Where y has a large error, that separates."""
    y, mean = deviation("training.output", "y"), deviation("running.mean", "running_mean")
    both = {"training.output": 10 * LARGE, "running.mean": LARGE}
    assert len(grouped([y, mean], [both, {"training.output": 8.0, "running.mean": 0.5}])) == 1
    assert len(grouped([y, mean], [both, {"training.output": LARGE, "running.mean": 0.5}])) == 2


def test_without_time_every_finding_is_a_cause_that_says_so() -> None:
    """The budget is stated, and the most ordinary comes first whatever the ratio."""
    case = batch_norm_case(Plan(Form((4, 3), 1)))
    y = deviation("training.output", "y").finding
    mean = deviation("running.mean", "running_mean", ratio="inf").finding

    def observe(_: Case) -> Observation:
        raise AssertionError("there is no time")

    found = causes_of([mean, y], dict.fromkeys((y.clause, mean.clause), case), observe, None, -1.0)  # type: ignore[arg-type]
    assert sorted(c.clause for c in found) == ["running.mean", "training.output"]
    assert all("stopped after" in c.cut for c in found)
    known = msgspec.structs.replace(found[0], known=(KNOWN,), also=("running.var",))
    assert count_sentence([known, found[1]]) == "2 causes (1 known) behind 3 clauses"


PLANS = (
    Plan(Form((4, 3, 5, 2), 3, "float16", "float64"), layout="stepped", parameter_layout="stepped", gamma="zeros"),
    Plan(Form((2, 1), 1, affine=False), state="poisoned", epsilon=1.0, decay=0.0),
    Plan(Form((33, 40), 1), short=True),
)


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: str(p.form.shape))
def test_a_feature_that_was_made_ordinary_is_ordinary(plan: Plan) -> None:
    """Each experiment changes what it says; values, which have no ordinary ones in words, change at least."""
    case = batch_norm_case(plan)
    changed = 0
    for feature in FEATURES:
        if not feature.value(case, 0):
            continue
        other = feature.changed(case, 0)
        if other is None:
            continue
        changed += 1
        assert other.id != case.id, feature.name
        if feature.name != "epsilon" and not feature.name.startswith("values"):
            assert not feature.value(other, 0), feature.name
    assert changed >= 4


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_changed_case_accuses_a_correct_layer() -> None:
    """Features made ordinary in turn, on cases of every kind: each changed case is well-formed and keeps every relation."""
    adapter, changed = FullAdapter("cpu"), 0
    every = list(cases_of("quick", 1))
    for case in (*every[::9], *(c for c in every if c.subject == "network")):
        if case.subject == "batch_norm" and max(a.size for a in case.arrays.values()) > 10 * SMALL:
            continue
        now, step = case, len(case.steps) - 1
        for feature in FEATURES:
            other = feature.changed(now, step) if feature.value(now, step) else None
            if other is None or other.id == now.id:
                continue
            called = with_other_calls(other)
            found = judge(called, run_case(adapter, *called.header()), adapter.conventions, Oracle(called))
            broken = [c for c, j in found.items() if j is not None and not j.holds and CLAUSES[c].level != "MAY"]
            assert not broken, (feature.name, case.origin)
            step = step if len(other.steps) == len(now.steps) else 0
            now, changed = other, changed + 1
    assert changed > 100


def test_a_condition_names_the_feature_and_both_values() -> None:
    """A layer that scales small variances only: the state is what it needs."""
    case = batch_norm_case(Plan(Form((4, 3), 1), state="like_epsilon"))
    feature = next(f for f in FEATURES if f.name == "state")
    condition = Condition(feature.name, feature.value(case, 0), feature.ordinary)
    assert "running_var" in condition.value
    assert condition.ordinary == "running_mean 0.25, running_var 2"
    other = feature.changed(case, 0)
    assert other is not None
    assert np.all(other.arrays["running_var"] == 2)


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
