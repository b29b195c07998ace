"""The features of a case that experiments make ordinary."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.clauses import CLAUSES
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.cases.programs import derivative_case, initial_case, masked_case
from bnspec.conformance.causes.calls import OWN_SETTINGS
from bnspec.conformance.causes.features import FEATURES
from bnspec.conformance.causes.other_calls import with_other_calls
from bnspec.conformance.causes.own_results import OwnResults
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.reference.full_layer import FullAdapter
from bnspec.contract import Conventions
from bnspec.model.buffers import pack
from bnspec.model.case import Case
from bnspec.model.observation import Observation, StepResult
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.causes import Condition

SMALL = 400
PLANS = (
    Plan(Form((4, 3, 5, 2), 3, "float16", "float64"), layout="stepped", parameter_layout="stepped", gamma="zeros"),
    Plan(Form((2, 1), 1, affine=False), state="poisoned", epsilon=1.0, decay=0.0),
    Plan(Form((33, 40), 1), short=True),
)


def test_the_first_axis_is_a_feature() -> None:
    """Rank 2 is ordinary where the channels are on the second axis."""
    case = batch_norm_case(Plan(Form((4, 3), 0)))
    rank = next(f for f in FEATURES if f.name == "rank")
    changed = rank.changed(case, 0)
    assert changed is not None
    assert np.array_equal(changed.arrays["x"], case.arrays["x"].T)
    assert not rank.value(changed, 0)


def test_one_row_is_a_feature() -> None:
    """Of several values per channel; a call on one row of a batch takes the whole batch in its place, and two rows of one that has no more."""
    feature = next(f for f in FEATURES if f.name == "one row")
    one, several = (batch_norm_case(Plan(Form((rows, 3, 5), 1))) for rows in (1, 4))
    changed = feature.changed(one, 0)
    assert changed is not None
    assert (feature.value(one, 0), feature.value(changed, 0)) == ("1 row", "")
    assert changed.arrays["x"].shape == (2, 3, 5)
    assert not feature.value(batch_norm_case(Plan(Form((1, 3), 1))), 0), "a count of 1"
    part = next(k for k, s in enumerate(several.steps) if s.inputs and s.inputs[0].endswith("]"))
    changed = feature.changed(several, part)
    assert changed is not None
    assert (feature.value(several, 0), feature.value(several, part), feature.value(changed, part)) == ("", "1 row", "")
    assert changed.steps[part].inputs[0] == several.steps[part].inputs[0].split("[")[0]


def test_initial_values_are_a_feature() -> None:
    """Those of the layer become those that it is given."""
    case = initial_case(Plan(Form((4, 3), 1)))
    feature = next(f for f in FEATURES if f.name == "initial values")
    changed = feature.changed(case, 0)
    assert changed is not None
    assert (feature.value(case, 0), feature.value(changed, 0)) == ("the layer's own", "")


def test_a_call_on_a_new_layer_asks_for_the_same() -> None:
    """Some gradients stay those that were asked for, whatever the layer's first call was."""
    case = derivative_case(Plan(Form((4, 3), 1)))
    step = max(i for i, s in enumerate(case.steps) if s.option("wanted"))
    changed = next(f for f in FEATURES if f.name == "history").changed(case, step)
    assert changed is not None
    assert changed.steps[0].fresh
    assert changed.steps[0].option("wanted") == case.steps[step].option("wanted")


def test_another_dtype_keeps_the_strides() -> None:
    """Counted in elements: a reversed array stays reversed."""
    case = batch_norm_case(Plan(Form((4, 3), 1, "float64", "float64"), layout="reversed"))
    changed = next(f for f in FEATURES if f.name == "dtype").changed(case, 0)
    assert changed is not None
    before, after = case.arrays["x"], changed.arrays["x"]
    assert after.dtype == np.float32
    assert [s // 4 for s in after.strides] == [s // 8 for s in before.strides]
    assert np.array_equal(after, before.astype(np.float32))


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


def test_an_axis_as_long_as_the_channels_is_a_feature() -> None:
    """Then the channels cannot be found by their number; one row more, and they can."""
    case = batch_norm_case(Plan(Form((3, 3), 1)))
    equal = next(f for f in FEATURES if f.name == "equal extents")
    changed = equal.changed(case, 0)
    assert changed is not None
    assert (changed.arrays["x"].shape, equal.value(changed, 0)) == ((4, 3), "")


def test_other_values_have_gaps_as_those_of_the_case() -> None:
    """NaN between strided elements: a layer that reads them is still seen to."""
    case = batch_norm_case(Plan(Form((4, 3), 1), layout="stepped"))
    changed = next(f for f in FEATURES if f.name == "values of x").changed(case, 0)
    assert changed is not None
    specs, buffers = pack({"x": changed.arrays["x"]})
    assert changed.arrays["x"].strides == case.arrays["x"].strides
    assert np.isnan(np.frombuffer(buffers[specs["x"]["buffer"]], np.float32)).any()


def own(layer: Callable[[Case], np.ndarray]) -> OwnResults:
    """Of a layer that returns this y in its first call."""

    def observe(case: Case) -> Observation:
        state = {n: case.arrays[n] for n in ("running_mean", "running_var")}
        return Observation("ok", steps=(StepResult("ok", outputs={"y": layer(case)}, before=state, after=state),))

    return OwnResults(observe, Conventions())


def test_own_results_differ_where_a_feature_changes_them() -> None:
    """A layer that is wrong in the same way with and without it is not wrong in the feature."""
    case = batch_norm_case(Plan(Form((4, 3), 1), layout="stepped"))
    packed = next(f for f in FEATURES if f.name == "layout of x").changed(case, 0)
    assert packed is not None
    assert not own(lambda c: 2 * c.arrays["x"] + 1).differ(case, packed, 0, "y")
    strided = own(lambda c: c.arrays["x"] * (1 if c.arrays["x"].flags.c_contiguous else 2))
    assert strided.differ(case, packed, 0, "y")


@pytest.mark.parametrize(("shift", "holds"), [(0.0, True), (1.0, False)])
def test_gamma_scales_the_own_y_whatever_that_is(shift: float, holds: bool) -> None:
    """A layer that scales by gamma is no layer that scales by 1 + gamma, though both normalise wrongly."""
    case = batch_norm_case(Plan(Form((4, 3), 1)))
    layer = own(lambda c: 3 * c.arrays["x"] * (c.arrays["gamma"] + shift) + c.arrays["beta"])
    assert layer.scale_by_gamma(case, 0) == holds


def test_a_layer_that_ignores_epsilon_is_seen_to() -> None:
    """By its own y, whatever else is wrong with that."""
    case = batch_norm_case(Plan(Form((4, 3), 1)))
    assert own(lambda c: c.arrays["x"] / np.float32(1 + c.config.epsilon)).heed_epsilon(case, 0)
    assert not own(lambda c: c.arrays["x"] / 2).heed_epsilon(case, 0)


def test_the_threads_of_a_case_are_the_most_of_its_layers() -> None:
    """A clause that compares two layers may be broken in a step of either."""
    case = batch_norm_case(Plan(Form((4, 3), 1)))
    threads = next(f for f in FEATURES if f.name == "threads")
    steps = tuple(
        dataclasses.replace(s, options=(*s.options, ("threads", 3))) if s.fresh else s for s in case.steps[:1]
    )
    several = case.with_(steps=(*case.steps[:1], *steps))
    assert threads.value(several, 0) == threads.value(several, 1) == "3 threads"
    assert not threads.value(case, 0)


@pytest.mark.parametrize("share", [0.75, 1.0])
def test_a_masked_batch_is_repeated_with_its_mask(share: float) -> None:
    """The statistics of what is kept stay, and its count grows."""
    case = masked_case(Plan(Form((2, 3, 2), 1)), share)
    changed = next(f for f in FEATURES if f.name == "count").changed(case, 0)
    assert changed is not None
    assert np.array_equal(changed.arrays["mask"], np.concatenate([case.arrays["mask"]] * 4))
    assert np.array_equal(changed.arrays["x"][:2], case.arrays["x"])


def test_two_values_say_nothing_of_gamma() -> None:
    """They are on a line whatever the layer does: a y that is 0 for one row scales nothing wrongly."""
    constant = own(lambda c: np.where(len(c.arrays["x"]) < 3, 0, c.arrays["x"]) + 0 * c.arrays["gamma"])
    assert constant.scale_by_gamma(batch_norm_case(Plan(Form((2, 3), 1))), 0)
    assert not constant.scale_by_gamma(batch_norm_case(Plan(Form((4, 3), 1))), 0)


def test_a_chunk_without_rows_is_a_feature() -> None:
    """The other chunks are the same training set."""
    every = (c for c in catalogue() if c.subject == "input_norm")
    case = next(c for c in every if any(n.startswith("chunk") and not a.size for n, a in c.arrays.items()))
    empty = next(f for f in FEATURES if f.name == "empty chunk")
    changed = empty.changed(case, 0)
    assert changed is not None
    assert (empty.value(case, 0), empty.value(changed, 0)) == ("a chunk without rows", "")
    assert np.array_equal(changed.arrays["x"], case.arrays["x"])
    adapter = FullAdapter("cpu")
    found = judge(changed, run_case(adapter, *changed.header()), adapter.conventions, Oracle(changed))
    assert all(j.holds for j in found.values() if j is not None)


def test_the_settings_of_a_call_that_is_compared_are_those_of_the_case() -> None:
    """A scaled call has another x and gamma than the call before it: its gamma is what is looked at."""
    every = (c for c in catalogue() for s in c.steps if any(n == "gamma" for n, _ in s.options))
    case = next(c for c in every if c.subject == "batch_norm")
    step = next(i for i, s in enumerate(case.steps) if any(n == "gamma" for n, _ in s.options))
    own = next(f for f in FEATURES if f.name == "settings of the call")
    changed = own.changed(case, step)
    assert changed is not None
    assert "gamma" in own.value(case, step)
    assert not own.value(changed, 0)
    name = dict(case.steps[step].options)["gamma"]
    assert np.array_equal(changed.arrays["gamma"], case.arrays[str(name)])
    assert np.array_equal(changed.arrays["x"], case.arrays[case.steps[step].inputs[0]])


def test_a_call_with_settings_of_its_own_is_a_case_alone() -> None:
    """Of every call of the catalogue that is no malformed one; of that, its parameters are no setting."""
    changed = [
        (step, own)
        for case in catalogue()
        for k, step in enumerate(case.steps)
        if OWN_SETTINGS.value(case, k) and (own := OWN_SETTINGS.changed(case, k)) is not None
    ]
    assert changed
    for step, own in changed:
        assert not step.refused
        assert len(Case.from_header(*own.header()).steps) == 1


def test_no_epsilon_is_a_small_one() -> None:
    """A layer whose epsilon has a least value is wrong without any, and right with a large one."""
    case = batch_norm_case(Plan(Form((4, 3), 1), epsilon=0.0))
    small = [f for f in FEATURES if f.name == "epsilon"][-1]
    changed = small.changed(case, 0)
    assert changed is not None
    assert (small.value(case, 0), changed.config.epsilon) == ("0", 1.0)
