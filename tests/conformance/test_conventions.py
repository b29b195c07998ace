"""``bnspec conventions``: every example convention is inferred, a wrong declaration is found, a translation is proved."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import conventions_adapters
import numpy as np
import pytest
from conventions_adapters import EXAMPLES, PLAIN, Example
from in_process import InProcess

from bnspec.cli import main
from bnspec.conformance.conventions import proof
from bnspec.conformance.conventions.bisection import located, shortest
from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS, Lab, decay_in_force
from bnspec.conformance.conventions.outcome import Outcome, hidden
from bnspec.conformance.conventions.plan import EXPERIMENTS, NOT_OBSERVABLE, Inference, infer
from bnspec.conformance.conventions.proof import prove
from bnspec.conformance.conventions.translated_cases import layers, moved
from bnspec.conformance.conventions.translated_layer import Party
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.contract import Adapter, Declined
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.store import read_run
from bnspec.translation.parts import Translation
from bnspec.translation.translate import translate

#: In a worker, NumPy's warnings about NaN and infinity go to a log; here they would end a test.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

#: The specification's answers by case, shared by all tests.
ORACLES: dict[str, Oracle] = {}


def inferred(adapter: type[Adapter]) -> Inference:
    """All experiments on an adapter."""
    return infer(InProcess(adapter), adapter.conventions, ORACLES)


def outcomes(inference: Inference) -> dict[str, Outcome]:
    """By field."""
    return {o.field: o for o in inference.outcomes}


def named(example: Example) -> str:
    """A test's name."""
    return example.name


# --- inference --------------------------------------------------------------------------------------------------------


def test_every_field_is_inferred_or_declared_unobservable() -> None:
    """A new field cannot be forgotten, none is claimed twice, and each reason says something."""
    asked = [field for e in EXPERIMENTS for field in e.fields]
    assert len(asked) == len(set(asked))
    assert not set(asked) & set(NOT_OBSERVABLE)
    assert {*asked, *NOT_OBSERVABLE} == {DECAY_WEIGHS, *(f.name for f in dataclasses.fields(Conventions))}
    assert all(e.question.endswith("?") for e in EXPERIMENTS)
    assert all(len(reason) > 20 for reason in NOT_OBSERVABLE.values())


def test_every_experiment_has_an_example() -> None:
    """Every inferred field has an example whose value differs from the plain layer's."""
    asked = {field for e in EXPERIMENTS for field in e.fields}
    assert asked - {p.field for p in EXAMPLES} == {"input_normalization"}


def test_the_plain_layer_is_what_it_declares() -> None:
    """No difference, and only unobservable fields remain open."""
    inference = inferred(PlainAdapter)
    assert not inference.differences
    assert inference.known == PLAIN
    assert [o.field for o in inference.outcomes if o.observable and not o.is_inferred] == ["layouts"]


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_example_convention_is_inferred(example: Example) -> None:
    """Alone, with no other field disturbed: what such a backend declares is what is inferred."""
    inference = inferred(example.adapter(example.conventions))
    found = outcomes(inference)[example.field]
    if example.field == "affine_optional":
        assert not found.observable
    else:
        assert found.is_inferred
        assert found.value == example.value
    if example.field != DECAY_WEIGHS:
        assert not inference.differences


@pytest.mark.parametrize("example", [p for p in EXAMPLES if p.field not in ("layouts", "frozen_gradients")], ids=named)
def test_a_wrong_declaration_is_a_difference(example: Example) -> None:
    """An adapter that declares the plain layer's conventions differs in the example field, and in no other."""
    inference = inferred(example.adapter(PLAIN))
    assert [o.field for o in inference.differences] == [example.field]
    assert outcomes(inference)[example.field].value == example.value


def test_what_no_convention_explains_is_none_of_the_known() -> None:
    """A moving average of the wrong thing: no rule is guessed, and what depends on the rule is left open with the reason."""

    class Astray(PlainLayer):
        """Stores the batch's mean plus one."""

        def new_mean(self, old: Any, mean: Any, count: int) -> Any:
            """Off."""
            return super().new_mean(old, mean, count) + 1.0

    inference = inferred(type("Astray", (PlainAdapter,), {"layer_class": Astray}))
    found = outcomes(inference)
    assert {o.field for o in inference.differences} == {DECAY_WEIGHS, "first_batch"}
    assert found["first_batch"].possible == ()
    assert "none of the known" in found["running_correction"].reason
    assert inference.known == PLAIN


def test_a_layer_that_is_for_inference_supports_what_it_answers() -> None:
    """It declines training steps, which is no failure of the dtype, the rank or the axis."""

    class Inference(PlainLayer):
        """Declines to train."""

        def training(self, x: Any) -> Any:
            """Never."""
            raise Declined("inference only")

    found = outcomes(inferred(type("Forward", (PlainAdapter,), {"layer_class": Inference})))
    assert found["dtypes"].value == PLAIN.dtypes
    assert found["ranks"].value == PLAIN.ranks
    assert PLAIN.channel_axes in found["channel_axes"].possible


def test_a_backend_that_raises_leaves_everything_open() -> None:
    """An error is no evidence for any convention."""

    class Broken(PlainLayer):
        """Raises in every call."""

        def training(self, x: Any) -> Any:
            """Never."""
            raise RuntimeError("broken")

        inference = training  # type: ignore[assignment]

    found = outcomes(inferred(type("Broken", (PlainAdapter,), {"layer_class": Broken})))
    assert not found["running_correction"].is_inferred
    assert "broken" in found["normalising_correction"].reason
    assert not found["count_one"].is_inferred


def test_a_narrow_backend_says_what_it_cannot_show() -> None:
    """Without float64 and half precision some fields are left open, each with a reason, and none is guessed."""
    narrow = dataclasses.replace(PLAIN, dtypes=("float32",), input_normalization=False)
    inference = inferred(type("Narrow", (PlainAdapter,), {"conventions": narrow}))
    found = outcomes(inference)
    assert not inference.differences
    for field in ("decay_dtype", "epsilon_dtype"):
        assert len(found[field].possible) == 2
        assert "float64 is not supported" in found[field].reason
    for field in ("half_statistics", "half_arithmetic", "output_dtype", "half_parameters", "input_epsilon"):
        assert not found[field].observable
        assert found[field].reason


def test_one_dtype_of_parameters_gives_two_names_to_one_thing() -> None:
    """With float32 parameters only, "float32" and "parameters" are the same; "input" is still excluded."""
    one = dataclasses.replace(PLAIN, half_parameters=("float32",))
    assert outcomes(inferred(type("One", (PlainAdapter,), {"conventions": one})))["half_statistics"].possible == (
        "float32",
        "parameters",
    )
    wrong = dataclasses.replace(one, half_statistics="input")
    assert [o.field for o in inferred(type("One", (PlainAdapter,), {"conventions": wrong})).differences] == [
        "half_statistics"
    ]


def test_the_weight_of_the_old_state_under_each_rule() -> None:
    """The recursion of the debiased quotients, from their closed form: a step rounds eight times numbers of at most 11."""
    assert [decay_in_force(0.75, "average", "old", t) for t in range(2)] == [0.75, 0.75]
    assert [decay_in_force(0.75, "replace", "new", t) for t in range(2)] == [0.0, 0.25]
    hidden_value, quotient = 0.0, 0.0
    for t, batch in enumerate((3.0, 11.0, -2.0)):
        hidden_value = 0.75 * hidden_value + 0.25 * batch
        weight = decay_in_force(0.75, "debiased", "old", t)
        quotient = weight * quotient + (1.0 - weight) * batch
        assert quotient == pytest.approx(
            hidden_value / (1.0 - 0.75 ** (t + 1)), rel=0.0, abs=(t + 1) * 8 * 11 * 2.0**-53
        )


def test_a_number_is_located_by_what_explains_alone() -> None:
    """The interval is that of the predicate, and the shortest decimal in it is the number one would have written."""
    low, high = 1.0009999e-5, 1.0010001e-5
    interval = located(lambda v: low <= v <= high, 1.00100005e-5)
    assert interval is not None
    assert interval == (low, high)
    assert shortest(interval) == 1.001e-5
    assert located(lambda v: False, 1.0) is None
    assert located(lambda v: True, float("nan")) is None


def test_agreement_is_relative_to_what_is_left() -> None:
    """Excluded differs, also where several are left; open declarations bind nothing; a hidden field says nothing."""
    several = Outcome("decay_dtype", ("float64", "float32"), "", "narrow")
    assert several.agreement("float32") == "undecided"
    assert Outcome("half_statistics", ("float32", "parameters"), "").agreement("input") == "differs"
    assert Outcome("count_one", ("raises",), "").agreement("unspecified") == "agrees"
    assert Outcome("first_batch", (), "").agreement("average") == "differs"
    assert Outcome("dtypes", (("float64", "float32"),), "").agreement(("float32", "float64")) == "agrees"
    assert Outcome("epsilon_minimum", (1e-5,), "", interval=(0.9e-5, 1.1e-5)).agreement(1.001e-5) == "agrees"
    assert hidden("initial_var", "why").agreement(1.0) == "not observable"


# --- translation ------------------------------------------------------------------------------------------------------


def endpoint(example: Example | None = None, **declared: Any) -> Party:
    """The plain layer, or an example, as one end of a translation."""
    adapter = PlainAdapter if example is None else example.adapter(example.conventions)
    if declared:
        adapter = type("Other", (adapter,), {"conventions": dataclasses.replace(adapter.conventions, **declared)})
    return Party(InProcess(adapter), adapter.conventions)


def example_as(name: str) -> Example:
    """The example convention of this name."""
    return next(p for p in EXAMPLES if p.name == name)


def test_a_layer_translated_to_its_own_backend_is_itself() -> None:
    """Every layer, both routes: exact, and no element differs."""
    proven = prove(endpoint(), endpoint())
    assert all(p.holds and p.ratio == 0.0 and p.elements > 100 for p in (*proven.inference, *proven.training))
    assert all(p.exact for p in proven.inference)


@pytest.mark.parametrize("name", ["BiasedRunning", "EpsilonInFloat32", "MomentumInFloat32"])
def test_backends_that_differ_are_proved_equal_by_their_translation(name: str) -> None:
    """Both directions, with the running variance scaled or a number rounded on the way."""
    one, other = endpoint(), endpoint(example_as(name))
    for source, target in ((one, other), (other, one)):
        proven = prove(source, target)
        assert [p for p in (*proven.inference, *proven.training) if not p.holds] == []
        assert sum(p.elements for p in proven.training) > 1000


def test_axes_that_are_not_offered_are_moved_on_the_way() -> None:
    """From channels last to a backend of two axes with the channels first."""
    source, target = endpoint(channel_axes="last"), endpoint(ranks=(2,), channel_axes="first")
    proven = prove(source, target)
    assert all(p.holds and not p.reason for p in (*proven.inference, *proven.training))


def test_a_smaller_epsilon_than_the_target_accepts_moves_into_the_variance() -> None:
    """In inference where the variance has room; in training there is no translation, and that is no failure."""
    proven = prove(endpoint(), endpoint(example_as("LeastEpsilon")))
    ways = {p.layer: p for p in proven.inference}
    assert ways["ordinary, float64"].holds
    training = {p.layer: p for p in proven.training}["small epsilon and variance, float32"]
    assert "epsilon" in training.reason
    assert training.holds


def test_a_target_that_is_not_what_it_claims_to_be_is_caught() -> None:
    """Declared like the source but with a biased variance; or with another epsilon: the proof fails, in the right place."""
    biased = prove(endpoint(), Party(InProcess(example_as("BiasedRunning").adapter(PLAIN)), PLAIN))
    assert all(p.holds for p in biased.inference)
    assert not all(p.holds for p in biased.training)
    assert {p.worst[:11] for p in biased.training if not p.holds} == {"running_var"}
    least = prove(endpoint(), Party(InProcess(example_as("LeastEpsilon").adapter(PLAIN)), PLAIN))
    failed = {p.layer for p in least.inference if not p.holds}
    assert failed == {"small epsilon and variance, float32", "ordinary, float64"}


@pytest.mark.parametrize(
    ("changes", "worst"),
    [
        ({"gamma": np.array([2.0, 1.0, 0.5], np.float32)}, "gamma, as handed over"),
        ({"epsilon": 1e-4}, "running_var + epsilon, as handed over"),
        ({"momentum": 0.25}, "decay, as handed over"),
    ],
    ids=["gamma", "epsilon", "momentum"],
)
def test_a_wrong_translation_is_caught(changes: dict[str, Any], worst: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The route claims to be exact and hands over another number: it is named, whatever the results are."""

    def wrong(*arguments: Any) -> Translation:
        right = translate(*arguments).training
        assert right.layer is not None
        route = dataclasses.replace(right, layer=dataclasses.replace(right.layer, **changes))
        return Translation(route, route)

    monkeypatch.setattr(proof, "translate", wrong)
    monkeypatch.setattr(proof, "layers", lambda conventions: [next(layers(conventions))])
    (proven,) = prove(endpoint(), endpoint()).training
    assert not proven.holds
    assert proven.worst == worst


def test_a_target_that_raises_has_failed() -> None:
    """What the conventions offers must run: no answer is no proof."""
    refusing = prove(endpoint(), Party(InProcess(example_as("AlwaysAffine").adapter(PLAIN)), PLAIN))
    failed = [p for p in refusing.inference if p.failed]
    assert [p.layer for p in failed] == ["without gamma and beta, float32"]
    assert not failed[0].holds
    assert "not implemented" in failed[0].reason


def test_moving_axes_keeps_every_value_in_its_channel() -> None:
    """From (N, H, W, C) to (N, C) and (C of axis 1): the same values, channel by channel."""
    source = dataclasses.replace(next(layers(PLAIN))[1], rank=4, channel_axis=3)
    x = np.arange(2 * 3 * 4 * 3, dtype=np.float64).reshape(2, 3, 4, 3)
    for rank, axis in ((2, 1), (4, 1), (3, 2), (3, 1)):
        there = moved(x, source, dataclasses.replace(source, rank=rank, channel_axis=axis))
        assert there.ndim == rank
        for c in range(3):
            assert np.array_equal(np.take(there, c, axis).reshape(-1), x[..., c].reshape(-1))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("example_adapters_on_path")
def test_the_command_reports_a_wrong_declaration_with_exit_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One document: what was inferred, what is declared, and the one difference."""
    call = ["conventions", "conventions_adapters:Hides_BiasedRunning", "--json", "--out", str(tmp_path / "run")]
    assert main(call) == 1
    document = json.loads(capsys.readouterr().out)
    (difference,) = document["differences"]
    assert (difference["field"], difference["inferred"], difference["declared"]) == ("running_correction", 0, 1)
    assert document["inferred"]["running_correction"] == 0
    assert document["declared"]["running_correction"] == 1
    assert set(document["not_observable"]) >= set(NOT_OBSERVABLE)
    known = {*document["inferred"], *document["undecided"], *document["not_observable"]}
    assert known == {DECAY_WEIGHS, *(f.name for f in dataclasses.fields(Conventions))}
    run = read_run(tmp_path / "run")
    assert (run.complete, run.finished and run.finished.exit_status) == (True, 1)
    (recorded,) = (c for c in run.conventions if c.agreement == "differs")
    assert (recorded.field, recorded.possible, recorded.declared) == ("running_correction", (0,), 1)
    assert recorded.evidence == difference["evidence"]
    assert {Case.loads((run.path / c).read_text("utf-8")).subject for c in recorded.cases} == {"batch_norm"}
    assert {c.field for c in run.conventions} == known
    assert main(call) == 2, "a run overwrites nothing"


@pytest.mark.usefixtures("example_adapters_on_path")
def test_the_command_proves_a_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two workers; parts with their formulas, and the worst ratio of each route."""
    monkeypatch.chdir(tmp_path)
    call = ["conventions", "numpy", "--to", "conventions_adapters:Declares_EpsilonInFloat32"]
    assert main([*call, "--json"]) == 0
    translation = json.loads(capsys.readouterr().out)["translation"]
    assert translation["to"] == "conventions_adapters:Declares_EpsilonInFloat32"
    epsilon = next(p for p in translation["inference"]["parts"] if p["name"] == "epsilon")
    assert epsilon["how"] == "rounded"
    for route in ("inference", "training"):
        assert 0.0 <= translation[route]["proof"]["ratio"] <= 1.0
        assert translation[route]["proof"]["elements"] > 1000
    assert translation["training"]["count"] == 12
    (folder,) = (tmp_path / "runs").iterdir()
    run = read_run(folder)
    assert [(t.purpose, t.count) for t in run.translations] == [
        ("inference", None),
        ("training", None),
        ("training", 12),
    ]
    for recorded in (run.translations[0], run.translations[2]):
        proof = translation[recorded.purpose]["proof"]
        assert recorded.ratio == proof["ratio"]
        assert [p.elements for p in recorded.proofs] == [layer["elements"] for layer in proof["layers"]]
        assert [p.how for p in recorded.parts] == [p["how"] for p in translation[recorded.purpose]["parts"]]
    assert len(run.targets) == 2
    assert main(call) == 0
    said = capsys.readouterr().out
    assert "for further training" in said
    assert "no differences" in said
    assert "rounded" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["conventions"],
        ["conventions", "nope"],
        ["conventions", "torch.*"],
        ["conventions", "numpy", "--device", "no:such:device"],
        ["conventions", "numpy", "--device", "cuda:0"],
        ["conventions", "numpy", "--to", "nope"],
        ["conventions", "no_such_module:Class"],
    ],
    ids=" ".join,
)
def test_a_bad_call_exits_2_and_says_how_to_fix_it(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, what and fix on standard error, nothing on standard output."""
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    assert status == 2
    assert "Fix:" in said.err
    assert not said.out


def test_each_case_runs_once() -> None:
    """The lab asks the worker once for each case: compiling frameworks pay per shape."""
    runner = InProcess(PlainAdapter)
    asked: list[str] = []

    class Counting:
        """Remembers what it ran."""

        def run(self, case: Case) -> Observation:
            """The case's observation."""
            asked.append(case.id)
            return runner.run(case)

    infer(Counting(), PLAIN)
    assert len(asked) == len(set(asked))
    assert Lab(runner, PLAIN).known == PLAIN
    assert conventions_adapters.PLAIN is PLAIN
