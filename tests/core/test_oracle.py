"""The oracle beyond the comparison of ``test_oracle_at_scale``: state, blocks, input normalization, sharing."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from oracle_comparison import channel_of
from second_oracle import Channel, reciprocal_root, ulps

from bnspec.arithmetic.quad import double
from bnspec.bounds import batch_norm as bounds
from bnspec.conformance.cases.building import Form, Plan, ScalingPlan, batch_norm_case, input_norm_case
from bnspec.conformance.cases.effort import fixed_cases
from bnspec.exact import blocks
from bnspec.model.call import INFERENCE_GRADIENTS, INVERSE, TRAINING, TRAINING_GRADIENTS, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import RUNNING, TIERS, Oracle

DTYPES = ("float32", "float64", "float16", "bfloat16")
TRAIN = Step(TRAINING_GRADIENTS, ("x", "dy"))
INFER = Step(INFERENCE_GRADIENTS, ("x", "dy"))


def whole_and_blocks(case: Case, step: Step, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, dict]:
    """The answers with and without treating the case as large."""
    whole = Oracle(case).expect(step, case.arrays, Conventions(running_correction=1))
    monkeypatch.setattr(blocks, "BLOCK", 8)
    parts = Oracle(case).expect(step, case.arrays, Conventions(running_correction=1))
    return whole, parts


@pytest.mark.parametrize("step", [TRAIN, INFER, Step(TRAINING, ("x",))], ids=lambda s: s.call.name)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_large_case_is_answered_as_a_small_one(axis: int, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block by block the same values and bounds come out, wherever the channel axis is."""
    case = batch_norm_case(Plan(Form((6, 5, 7), axis), "wide", epsilon=1e-5, seed=2))
    assert not blocks.is_large(case, "x")
    whole, parts = whole_and_blocks(case, step, monkeypatch)
    assert blocks.is_large(case, "x")
    assert whole.keys() == parts.keys()
    for name in whole:
        assert np.array_equal(double(whole[name].value), double(parts[name].value)), name
        for tier in bounds_tiers(whole[name]):
            a, b = whole[name].bounds[tier], parts[name].bounds[tier]
            assert (np.maximum(a, b) <= np.minimum(a, b) * bounds.ROOM).all(), name


def bounds_tiers(expected: object) -> list[str]:
    """The tiers that an answer has bounds for."""
    return list(expected.bounds)  # type: ignore[attr-defined]


def test_backends_of_the_same_precisions_share_their_answers() -> None:
    """Conventions that differ in fields no bound depends on share the same arrays."""
    case = batch_norm_case(Plan(Form((4, 3, 5), 1), seed=1))
    oracle = Oracle(case)
    one = oracle.expect(TRAIN, case.arrays, Conventions(running_correction=1))
    other = oracle.expect(TRAIN, case.arrays, Conventions(running_correction=0, channel_axes="first"))
    assert one["dx"].value is other["dx"].value
    assert one["running_var"].value is not other["running_var"].value


def test_what_was_asked_before_changes_no_answer() -> None:
    """Every answer to the cases of a quick run, from states of many backends, is bitwise that of an oracle that was asked nothing else."""
    found = set[str]()
    for case in fixed_cases():
        kinds = {step.call.kind for step in case.steps if step.inputs and not step.refused}
        if case.subject != "batch_norm" or case.elements > 500 or kinds <= found:
            continue
        kept, moved = Oracle(case), {n: case.arrays[n] + case.arrays[n].dtype.type(0.5) for n in RUNNING}
        asked = [(s, b) for s in case.steps if s.inputs and not s.refused for b in (case.arrays, moved) * 2]
        for step, before in asked:
            found.add(step.call.kind)
            again, first = (o.expect(step, before, Conventions(running_correction=1)) for o in (kept, Oracle(case)))
            assert again.keys() == first.keys()
            for name, answer in first.items():
                assert again[name].value.tobytes() == answer.value.tobytes()
                for tier in TIERS:
                    assert np.array_equal(again[name].bounds[tier], answer.bounds[tier], equal_nan=True)
    assert found > {"gradients", "second_order", "third_order", "tangent", "masked_gradients"}


def test_another_epsilon_is_another_answer() -> None:
    """A backend that raises epsilon to its documented minimum is expected to give what that gives; statistics are the same."""
    case = batch_norm_case(Plan(Form((4, 3, 5), 1), "like_epsilon", epsilon=1e-7, seed=1))
    oracle = Oracle(case)
    plain = oracle.expect(TRAIN, case.arrays, Conventions())
    raised = oracle.expect(TRAIN, case.arrays, Conventions(epsilon_minimum=1e-5))
    again = Oracle(case.with_(config=case.config.__class__(**{**vars(case.config), "epsilon": 1e-5})))
    assert np.array_equal(raised["y"].rounded, again.expect(TRAIN, case.arrays, Conventions())["y"].rounded)
    assert not np.array_equal(raised["y"].rounded, plain["y"].rounded)
    assert np.array_equal(raised["running_var"].rounded, plain["running_var"].rounded)


def test_nothing_is_expected_of_an_empty_batch() -> None:
    """It has no statistics, and no outputs to judge."""
    case = batch_norm_case(Plan(Form((0, 3), 1), seed=1))
    assert Oracle(case).expect(TRAIN, case.arrays, Conventions()) == {}


def test_one_value_per_channel_normalises_to_beta() -> None:
    """Its variance is 0: y = beta and dx = 0; the corrected variance does not exist and is left out."""
    case = batch_norm_case(Plan(Form((1, 3), 1, "float64", "float64"), seed=1))
    expected = Oracle(case).expect(TRAIN, case.arrays, Conventions(running_correction=1, count_one="unspecified"))
    assert np.array_equal(expected["y"].rounded[0], case.arrays["beta"])
    assert not expected["dx"].rounded.any()
    assert "running_var" not in expected


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["ordinary", "mean_1e6", "near_constant", "pixels", "constant"])
def test_input_normalization_agrees_with_exact_rationals(kind: str, dtype: str) -> None:
    """Fitted statistics, the transform and its inverse lie within one unit in the last place of the exact value."""
    parameter = dtype if dtype in ("float32", "float64") else "float32"
    case = input_norm_case(ScalingPlan(Form((12, 3), 1, dtype, parameter), kind, chunks=(5, 7), seed=3))
    oracle, fit = Oracle(case), case.steps[0]
    learned = oracle.expect(fit, {}, Conventions())
    fitted = {n: learned[n].rounded.astype(case.arrays["x"].dtype) for n in ("mean", "var")}
    rows = case.arrays["x"].astype(np.float64).T.tolist()
    for c, row in enumerate(rows):
        channel = Channel(row, row, 1.0, 0.0, 0.0)
        assert ulps(float(learned["mean"].rounded[c]), channel.mean) <= 1.0
        assert ulps(float(learned["var"].rounded[c]), channel.var) <= 1.0
    for name, call, output in (("unseen", TRANSFORM, "y"), ("normal", INVERSE, "x")):
        answer = oracle.expect(Step(call, (name,)), fitted, Conventions())[output]
        for c in range(case.config.channels):
            mean, var = (Fraction(float(fitted[n][c])) for n in ("mean", "var"))
            if np.isnan(answer.bounds["permissive"][:, c]).any() or var == 0:
                continue
            root = reciprocal_root(var)
            for given, got in zip(case.arrays[name][:, c].astype(float), channel_of(case, answer, c), strict=True):
                exact = Fraction(given)
                assert ulps(got, (exact - mean) * root if output == "y" else exact / root + mean) <= 1.0


def test_an_infinite_bound_says_that_nothing_can_be_promised() -> None:
    """gamma_n is infinite once n u reaches 1."""
    assert bounds.gamma(2.0**8, PRECISIONS["bfloat16"]) == np.inf
    assert bounds.gamma(4.0, PRECISIONS["float32"]) < np.inf
