"""The contract's optional calls, through a worker: the reference adapter against the oracle."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.model.call import (
    CLONE,
    FREEZE,
    INFERENCE,
    INFERENCE_GRADIENTS,
    MODES,
    RESET,
    SAVE_RESTORE,
    SET_DECAY,
    SWAP,
    TRAINING,
    TRAINING_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    UNFREEZE,
    Kind,
    call_of,
)
from bnspec.model.case import Case, Step
from bnspec.model.observation import Observation
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Oracle

FORMS = (
    Form((6, 3), 1, "float32", "float32"),
    Form((4, 5, 2, 3), 1, "float64", "float64"),
    Form((4, 2, 3, 5), 3, "float32", "float32", affine=False),
    Form((4, 2, 3, 5), 3, "bfloat16", "float32"),
)
WANTED = [" ".join(w) for n in (1, 2, 3) for w in itertools.combinations(("dx", "dgamma", "dbeta"), n)]
STATE = ("running_mean", "running_var")
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{len(f.shape)}d-{f.dtype}")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """The reference adapter in its process."""
    with Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu") as opened:
        yield opened


def case_of(form: Form, steps: Sequence[Step]) -> Case:
    """An ordinary case with these steps, a direction v, and a mask over large values in the padding."""
    base, rng = batch_norm_case(Plan(form)), np.random.RandomState(5)
    arrays, dtype = dict(base.arrays), base.arrays["x"].dtype
    mask = rng.rand(*(1 if a == form.channel_axis else n for a, n in enumerate(form.shape))) < 0.6
    arrays.update(mask=mask, v=rng.standard_normal(form.shape).astype(dtype))
    arrays["padded"] = np.where(mask, arrays["x"].astype(np.float64), np.nan).astype(dtype)
    used = {n for s in steps for n in s.inputs} | {"gamma", "beta", *STATE}
    return base.with_(arrays={n: a for n, a in arrays.items() if n in used}, steps=tuple(steps))


def run(worker: Worker, case: Case) -> Observation:
    """The observation of a case, in which every step must succeed and modify nothing."""
    observation = worker.run(case)
    for step, result in zip(case.steps, observation.steps, strict=True):
        assert (result.status, result.message) == ("ok", ""), step.call
        assert not result.written, step.call
        assert not result.aliases, step.call
    return observation


def assert_judged(worker: Worker, case: Case, calls: Sequence[int] | None = None) -> Observation:
    """Every output of these steps, or of all that take arrays, lies within the oracle's bound; returns the observation."""
    conventions, oracle, observation = worker.hello.conventions, Oracle(case), run(worker, case)
    assert conventions is not None
    for i in calls if calls is not None else [i for i, s in enumerate(case.steps) if s.inputs]:
        step, result = case.steps[i], observation.steps[i]
        answers = oracle.overridden(case.overrides(i)).expect(step, result.before, conventions)
        assert answers, step.call
        assert {*result.outputs, *STATE} == {*answers, *STATE}, step.call
        for name, expected in answers.items():
            got = result.after[name] if name in STATE else result.outputs[name]
            for tier in ("lenient", "permissive"):
                ratio = ratios_of(got, expected, tier)
                assert (ratio[~np.isnan(ratio)] <= 1.0).all(), (step.call, name, tier, float(np.nanmax(ratio)))
                # the lenient bound of a second derivative in bfloat16 is infinite
                assert tier == "lenient" or not np.isnan(ratio).all(), (step.call, name)
    return observation


@every_form
def test_derivatives_are_those_of_the_oracle(worker: Worker, form: Form) -> None:
    """Second order and tangents in both modes; a training call moves the running statistics once, the others never."""
    calls = [call_of(mode, kind) for kind in ("second_order", "tangent") for mode in MODES]
    case = case_of(form, [*(Step(c, c.inputs, fresh=True) for c in calls), Step(TRAINING, ("x",), fresh=True)])
    *results, once = assert_judged(worker, case).steps
    for call, result in zip(calls, results, strict=True):
        moved = once.after if call.mode == "training" else result.before
        assert all(result.after[n].tobytes() == moved[n].tobytes() for n in STATE), call


@every_form
def test_some_gradients_are_those_of_all_and_no_others(worker: Worker, form: Form) -> None:
    """Every subset of dx, dgamma and dbeta, in both modes, bit for bit."""
    for mode in MODES:
        whole = Step(call_of(mode, "gradients"), ("x", "dy"), fresh=True)
        some = [Step(call_of(mode, "some_gradients"), ("x", "dy"), True, (("wanted", w),)) for w in WANTED]
        everything, *results = assert_judged(worker, case_of(form, [whole, *some])).steps
        for wanted, result in zip(WANTED, results, strict=True):
            exist = {"dx", "dgamma", "dbeta"} if form.affine else {"dx"}
            assert set(result.outputs) == {"y"} | (exist & set(wanted.split())), wanted
            assert all(a.tobytes() == everything.outputs[n].tobytes() for n, a in result.outputs.items()), wanted


@every_form
def test_a_masked_batch_is_the_batch_without_its_padding(worker: Worker, form: Form) -> None:
    """NaN in the padding reaches nothing; dx is 0 there."""
    masked = [Step(TRAINING_MASKED, ("padded", "mask"), True)]
    masked.append(Step(TRAINING_MASKED_GRADIENTS, ("padded", "dy", "mask"), True))
    observation = assert_judged(worker, case_of(form, masked))
    for result in observation.steps:
        assert all(np.isfinite(a.astype(np.float64)).all() for a in (*result.outputs.values(), *result.after.values()))


@every_form
def test_a_layer_that_was_saved_or_copied_goes_on_as_the_same(worker: Worker, form: Form) -> None:
    """State, parameters and decay survive; what the copy learns, the original does not."""
    grown = [Step(TRAINING, ("x",), True), Step(SET_DECAY, (), options=(("decay", 0.25),))]
    after = [Step(INFERENCE_GRADIENTS, ("x", "dy")), Step(TRAINING_GRADIENTS, ("x", "dy"))]
    plain = assert_judged(worker, case_of(form, [*grown, *after])).steps[-2:]
    for change in (SAVE_RESTORE, CLONE):
        steps = [
            *grown,
            Step(change),
            *after,
            *([Step(SWAP), Step(INFERENCE, ("x",))] if change == CLONE else []),
        ]
        observation = assert_judged(worker, case_of(form, steps))
        for before, now in zip(plain, observation.steps[3:5], strict=True):
            assert {n: a.tobytes() for n, a in now.outputs.items()} == {
                n: a.tobytes() for n, a in before.outputs.items()
            }
            assert all(now.after[n].tobytes() == before.after[n].tobytes() for n in STATE)
        if change == CLONE:
            state_before, moved = observation.steps[-1].before, observation.steps[4].after
            assert all(state_before[n].tobytes() == observation.steps[1].after[n].tobytes() for n in STATE)
            assert any(state_before[n].tobytes() != moved[n].tobytes() for n in STATE)


@every_form
def test_a_reset_layer_has_the_statistics_of_a_new_one(worker: Worker, form: Form) -> None:
    """Mean 0 and variance 1, as the conventions says; a layer of the framework's own has gamma 1 and beta 0 besides."""
    steps = [Step(TRAINING, ("x",), True), Step(RESET), Step(INFERENCE, ("x",))]
    new = [Step(INFERENCE, ("x",), True, (("initial", True),)), Step(TRAINING_GRADIENTS, ("x", "dy"))]
    observation, conventions = assert_judged(worker, case_of(form, [*steps, *new])), worker.hello.conventions
    assert conventions is not None
    for result in observation.steps[2:4]:
        assert (result.before["running_mean"] == conventions.initial_mean).all()
        assert (result.before["running_var"] == conventions.initial_var).all()


@every_form
def test_a_frozen_layer_takes_its_statistics_as_constants(worker: Worker, form: Form) -> None:
    """As the conventions declares it: in training mode as in inference mode, bit for bit, until it is unfrozen."""
    conventions = worker.hello.conventions
    assert conventions is not None
    assert conventions.frozen_gradients == "constants"
    kinds: tuple[Kind, ...] = ("gradients", "second_order", "tangent")
    calls = [call_of(mode, kind) for kind in kinds for mode in MODES]
    pairs = [Step(call, call.inputs) for call in calls]
    steps = [Step(TRAINING, ("x",), True), Step(FREEZE), *pairs, Step(UNFREEZE), Step(TRAINING, ("x",))]
    case = case_of(form, steps)
    observation = assert_judged(worker, case, [i for i, s in enumerate(steps) if s.call.mode == "inference"])
    results = observation.steps[2:-2]
    for frozen, inference in zip(results[::2], results[1::2], strict=True):
        assert {n: a.tobytes() for n, a in frozen.outputs.items()} == {
            n: a.tobytes() for n, a in inference.outputs.items()
        }
        assert all(frozen.after[n].tobytes() == frozen.before[n].tobytes() for n in STATE)
    last = observation.steps[-1]
    assert any(last.after[n].tobytes() != last.before[n].tobytes() for n in STATE)


def test_threads_that_cannot_be_set_are_declined(worker: Worker) -> None:
    """Said, and not ignored: a result under other threads would otherwise be one under the same."""
    case = case_of(FORMS[0], [Step(TRAINING, ("x",), True, (("threads", 2),))])
    assert [r.status for r in worker.run(case).steps] == ["declined"]
