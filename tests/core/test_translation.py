"""Translation between conventions: exact ones are exact, and impossible ones have a counterexample."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from typing import Any

import builtin_conventions
import hypothesis
import numpy as np
import pytest
from exact_layer import Model, batch, train_alike
from hypothesis import strategies as st

from bnspec.arithmetic.quad import quad
from bnspec.arithmetic.representable import nearest
from bnspec.equations import batch_norm as eq
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of
from bnspec.model.conventions import CHOICES, Conventions
from bnspec.oracle.oracle import effective_epsilon
from bnspec.translation.parts import LayerValues, Route
from bnspec.translation.translate import translate

BUILTIN = builtin_conventions.BUILTIN
NAMES = sorted(BUILTIN)
#: Every day each backend is translated to itself and to three others; all pairs are slow.
PAIRS = [
    (a, b) if (j - i) % len(NAMES) < 4 else pytest.param(a, b, marks=pytest.mark.slow)
    for (i, a), (j, b) in itertools.product(enumerate(NAMES), repeat=2)
]


# --- layers and conventions ----------------------------------------------------------------------------------------------


def layer_of(
    conventions: Conventions, dtype: str = "float32", parameter: str = "float32", **changes: Any
) -> LayerValues:
    """A layer for a backend with these conventions: distinct values, exact in every dtype."""
    arrays = {
        "gamma": [0.5, -1.25, 2.0],
        "beta": [0.25, 0.0, -3.0],
        "running_mean": [5.0, -0.75, 96.0],
        "running_var": [9.0, 0.5, 12.0],
    }
    given: dict[str, Any] = {n: np.array(v, dtype_of(parameter)) for n, v in arrays.items()}
    given.update(epsilon=2.0**-10, momentum=0.25, dtype=dtype, steps=3, rank=4, channel_axis=1)
    return LayerValues(**{**given, **changes})


finite = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**20), max_value=2.0**20)
positive = st.floats(width=32, min_value=2.0**-20, max_value=2.0**20)
numbers = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0]))


@st.composite
def conventions_records(draw: st.DrawFn) -> Conventions:
    """Conventions that differ in every field a translation reads; float32 is always supported."""
    words = {f: draw(st.sampled_from(CHOICES[f])) for f in CHOICES}
    return Conventions(
        running_correction=draw(st.sampled_from([0, 1])),
        normalising_correction=draw(st.sampled_from([0, 0, 0, 1])),
        epsilon_minimum=draw(st.sampled_from([0.0, 0.0, 2.0**-16, 1.001e-5])),
        dtypes=draw(st.sampled_from([("float32",), ("float64", "float32", "bfloat16", "float16")])),
        half_parameters=draw(st.sampled_from([("float32",), ("input",), ("float32", "input")])),
        ranks=draw(st.sampled_from([(2,), (4, 5), (2, 3, 4, 5, 6)])),
        affine_optional=draw(st.booleans()),
        **words,
    )


@st.composite
def layers(draw: st.DrawFn) -> LayerValues:
    """Layers of two channels in any dtype."""
    dtype = draw(st.sampled_from(["float64", "float32", "bfloat16", "float16"]))
    parameter = draw(st.sampled_from([dtype, "float32"])) if dtype in ("float16", "bfloat16") else dtype
    limit = 2.0**15

    def array(kind: st.SearchStrategy[float]) -> np.ndarray:
        return np.clip(np.array(draw(st.lists(kind, min_size=2, max_size=2))), -limit, limit).astype(
            dtype_of(parameter)
        )

    affine = draw(st.booleans())
    return LayerValues(
        epsilon=draw(st.sampled_from([2.0**-10, 1e-5, 1e-3, 2.0**-30, 0.0])),
        momentum=draw(numbers),
        running_mean=array(finite),
        running_var=array(positive),
        gamma=array(finite) if affine else None,
        beta=array(finite) if affine else None,
        dtype=dtype,
        rank=draw(st.sampled_from([2, 3, 4, 5])),
        channel_axis=1,
        steps=draw(st.sampled_from([1, 2, 7])),
    )


def demand_exactness(source: Conventions, target: Conventions, layer: LayerValues, count: int | None) -> None:
    """Run both layers; where the translation says exact, they agree."""
    found = translate(source, target, layer, count)
    if found.inference.is_exact and found.inference.layer:
        assert Model(source, layer).inference() == Model(target, found.inference.layer).inference()
    route = found.training
    if route.is_exact and route.layer:
        had, has = Model(source, layer), Model(target, route.layer)
        factor = Fraction(1)
        if count is not None and had.decay != 1:
            factor = Fraction(count - source.running_correction, count - target.running_correction)
        counts = [count] * 3 if count else [2, 5, 3]
        if source.running_correction != target.running_correction and had.decay != 1:
            assert count is not None
        if had.decay != 1 or "debiased" not in (source.first_batch, target.first_batch):
            assert train_alike(had, has, counts, factor)


@hypothesis.settings(max_examples=300, deadline=None, database=None, derandomize=True)
@hypothesis.given(conventions_records(), conventions_records(), layers(), st.sampled_from([None, 2, 3, 64]))
def test_what_is_called_exact_is_exact(
    source: Conventions, target: Conventions, layer: LayerValues, count: int | None
) -> None:
    """Over the rationals, both layers compute the same map in inference and in every step of training."""
    demand_exactness(source, target, layer, count)


@hypothesis.settings(max_examples=200, deadline=None, database=None, derandomize=True)
@hypothesis.given(conventions_records(), conventions_records(), layers())
def test_what_is_handed_over_comes_back(source: Conventions, target: Conventions, layer: LayerValues) -> None:
    """An exact translation into another conventions, and an exact one back, give a layer of the same function and state."""
    there = translate(source, target, layer, 4).training
    if there.is_exact and there.layer:
        back = translate(target, source, there.layer, 4).training
        if back.is_exact and back.layer:
            old, new = Model(source, layer), Model(source, back.layer)
            assert (old.inference(), old.decay) == (new.inference(), new.decay)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_built_in_backends_translate_exactly_or_say_why_not(source: str, target: str) -> None:
    """Each pair, in each precision that the source offers, with a fixed count and with none."""
    a, b = BUILTIN[source], BUILTIN[target]
    for dtype in a.dtypes:
        for kind in ("float32", dtype) if dtype in ("float16", "bfloat16") else (dtype,):
            for count in (None, 4):
                layer = layer_of(a, dtype, kind)
                demand_exactness(a, b, layer, count)
                found = translate(a, b, layer, count)
                for part in (*found.inference.parts, *found.training.parts):
                    assert part.how in ("copied", "computed") or part.reason
                json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_inference_of_built_in_backends_is_bitwise_the_same_in_quad(source: str, target: str) -> None:
    """The specification's own equations, run on the source's numbers and on the target's, give the same bits; so does training."""
    a, b = BUILTIN[source], BUILTIN[target]
    layer = layer_of(a)
    route = translate(a, b, layer).inference
    assert route.is_exact
    assert route.layer is not None
    x = quad(np.random.RandomState(1).standard_normal((6, 3)).astype(np.float32))
    had, has = quad_outputs(a, layer, x), quad_outputs(b, route.layer, x)
    assert [y.tobytes() for y in had] == [y.tobytes() for y in has]


def quad_outputs(conventions: Conventions, layer: LayerValues, x: Any) -> list[Any]:
    """y of inference and of training by the specification's equations, in quad."""
    gamma, beta, mean, var = (quad(getattr(layer, n)) for n in ("gamma", "beta", "running_mean", "running_var"))
    epsilon = effective_epsilon(layer.epsilon, conventions)
    return [
        eq.inference_forward(x, gamma, beta, mean, var, epsilon),
        eq.training_forward(x, gamma, beta, epsilon, (0,)),
    ]


# --- what does not exist ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [(0, 1), (1, 0)])
@hypothesis.settings(max_examples=50, deadline=None, database=None, derandomize=True)
@hypothesis.given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([0.0, 0.25, 0.75]))
def test_a_running_variance_under_another_correction_needs_one_count(
    pair: tuple[int, int], count: int, other: int, momentum: float
) -> None:
    """The state scaled for one count follows for that count for ever, and is wrong after one step of any other."""
    hypothesis.assume(count != other)
    source, target = (Conventions(running_correction=c, momentum_weighs="old") for c in pair)
    layer = layer_of(source, "float64", "float64", momentum=momentum)
    assert translate(source, target, layer).training.by("impossible")[0].name == "running_var"
    factor = Fraction(count - pair[0], count - pair[1])
    scaled = Model(target, layer)
    scaled.var = [v * factor for v in scaled.var]
    assert train_alike(Model(source, layer), scaled, [count] * 3, factor)
    scaled = Model(target, layer)
    scaled.var = [v * factor for v in scaled.var]
    assert not train_alike(Model(source, layer), scaled, [other], factor)


def test_a_running_variance_is_scaled_for_a_fixed_count() -> None:
    """m / (m - 1) from the biased to the unbiased, exactly where the target holds it, else the nearest number."""
    source, target = Conventions(running_correction=0), Conventions(running_correction=1)
    exact = translate(source, target, layer_of(source), count=3).training
    assert {p.name: p.how for p in exact.parts}["running_var"] == "computed"
    assert exact.layer is not None
    assert exact.layer.running_var.tolist() == [13.5, 0.75, 18.0]
    assert any(n.startswith("count = 3 in every step") for n in exact.needs)
    rounded = translate(source, target, layer_of(source), count=4).training
    assert [p.name for p in rounded.by("rounded")] == ["running_var"]
    assert not rounded.is_exact
    none = translate(source, target, layer_of(source), count=1).training
    assert [p.name for p in none.by("impossible")] == ["running_var"]


def test_a_decay_of_one_needs_no_scaling() -> None:
    """Nothing moves, so nothing differs."""
    source, target = (Conventions(running_correction=c, momentum_weighs="old") for c in (0, 1))
    assert translate(source, target, layer_of(source, momentum=1.0)).training.is_exact


def test_another_normalising_correction_has_no_translation() -> None:
    """gamma would have to change by an irrational factor; inference does not know the correction."""
    source, target = Conventions(), Conventions(normalising_correction=1)
    found = translate(source, target, layer_of(source), count=4)
    assert [p.name for p in found.training.by("impossible")] == ["normalising_correction"]
    assert found.training.layer is None
    assert found.inference.is_exact
    assert Model(source, layer_of(source)).train(batch(3, 4, 0)) != Model(target, layer_of(source)).train(
        batch(3, 4, 0)
    )


def test_first_batch_rules_agree_after_the_first_step_or_never() -> None:
    """Replacing and averaging differ in one step; debiasing differs in every step."""
    rules = {r: Conventions(first_batch=r, momentum_weighs="old") for r in CHOICES["first_batch"]}
    for a, b in itertools.permutations(rules, 2):
        for steps in (0, 2):
            layer = layer_of(rules[a], momentum=0.5, steps=steps)
            found = translate(rules[a], rules[b], layer).training
            alike = train_alike(Model(rules[a], layer), Model(rules[b], layer), [3, 4], Fraction(1))
            assert found.is_exact == alike == ("debiased" not in (a, b) and steps > 0)
        assert translate(rules[a], rules[b], layer_of(rules[a], momentum=0.0, steps=0)).training.is_exact


# --- numbers ----------------------------------------------------------------------------------------------------------


@hypothesis.settings(max_examples=300, deadline=None, database=None, derandomize=True)
@hypothesis.given(numbers)
@hypothesis.example(0.1)
@hypothesis.example(0.9)
@hypothesis.example(0.01)
def test_one_minus_momentum_is_exact_from_one_half_on_and_on_the_grid_below(momentum: float) -> None:
    """1 - q is a double for q >= 1/2 (Sterbenz), and for smaller q when it is a multiple of 2^-53; else one rounding off."""
    new, old = Conventions(momentum_weighs="new"), Conventions(momentum_weighs="old")
    for source, target in ((new, old), (old, new)):
        part = next(p for p in translate(source, target, layer_of(source, momentum=momentum)).training.parts
                    if p.name == "momentum")  # fmt: skip
        on_grid = (Fraction(momentum) * 2**53).denominator == 1
        assert (part.how == "computed") == (momentum >= 0.5 or on_grid)
        assert part.value == 1.0 - momentum
        assert abs(Fraction(part.value) - (1 - Fraction(momentum))) <= Fraction(1, 2**54)


def test_common_decays() -> None:
    """0.1 of the new has no exact twin, 0.9 and 0.99 of the old have: not 0.1 and 0.01, but what is next to them."""
    said = {}
    for source, target, momentum in (
        ("torch.nn", "keras", 0.1),
        ("keras", "torch.nn", 0.9),
        ("keras", "torch.nn", 0.99),
    ):
        layer = layer_of(BUILTIN[source], momentum=momentum)
        part = next(
            p for p in translate(BUILTIN[source], BUILTIN[target], layer, 4).training.parts if p.name == "momentum"
        )
        said[source, momentum] = (part.how, part.value)
    assert said == {
        ("torch.nn", 0.1): ("rounded", 0.9),
        ("keras", 0.9): ("computed", 1.0 - 0.9),
        ("keras", 0.99): ("computed", 1.0 - 0.99),
    }


def test_an_epsilon_that_the_target_rounds_is_the_nearest_and_said() -> None:
    """1e-3 is no float32; 2^-10 is."""
    source, target = Conventions(), Conventions(epsilon_dtype="float32")
    route = translate(source, target, layer_of(source, epsilon=1e-3)).inference
    assert [p.name for p in route.by("rounded")] == ["epsilon"]
    assert route.layer is not None
    assert route.layer.epsilon == float(np.float32(1e-3))
    assert translate(source, target, layer_of(source, epsilon=2.0**-10)).inference.is_exact
    back = translate(target, source, layer_of(source, epsilon=1e-3)).inference
    assert [p.how for p in back.parts if p.name == "epsilon"] == ["computed"]
    assert back.is_exact


def test_an_epsilon_below_the_minimum_moves_into_the_running_variance() -> None:
    """For inference only their sum matters; training has no such way out."""
    source, target = Conventions(), Conventions(epsilon_minimum=2.0**-8)
    found = translate(source, target, layer_of(source, epsilon=2.0**-10))
    assert found.inference.is_exact
    assert found.inference.layer is not None
    assert found.inference.layer.running_var.tolist() == [v - 3.0 * 2.0**-10 for v in (9.0, 0.5, 12.0)]
    assert [p.name for p in found.training.by("impossible")] == ["epsilon"]
    low = layer_of(source, epsilon=2.0**-10, running_var=np.full(3, 2.0**-12, np.float32))
    assert [p.name for p in translate(source, target, low).inference.by("impossible")] == ["epsilon", "running_var"]


@hypothesis.settings(max_examples=200, deadline=None, database=None, derandomize=True)
@hypothesis.given(
    st.fractions(min_value=-(2**14), max_value=2**14, max_denominator=10**9),
    st.sampled_from(["float64", "float32", "bfloat16", "float16"]),
)
def test_the_nearest_number_has_no_nearer_neighbour(value: Fraction, dtype: str) -> None:
    """Rounded once, not twice."""
    held = nearest(value, dtype)
    for side in (-np.inf, np.inf):
        beside = np.nextafter(held, held.dtype.type(side))
        if np.isfinite(beside):
            assert abs(Fraction(float(beside)) - value) >= abs(Fraction(float(held)) - value)


# --- form -------------------------------------------------------------------------------------------------------------


def parts(route: Route) -> dict[str, str]:
    """How each part is handed over."""
    return {p.name: p.how for p in route.parts}


def test_forms_that_the_target_lacks_are_reached_by_moving_and_merging_axes() -> None:
    """Statistics reduce over all other axes alike."""
    fused, torch = BUILTIN["tensorflow.fused"], BUILTIN["torch.nn"]
    found = translate(torch, fused, layer_of(torch, rank=2)).inference
    assert found.layer is not None
    assert (found.layer.rank, found.layer.channel_axis) == (4, 1)
    last = translate(fused, torch, layer_of(fused, channel_axis=3)).inference
    assert last.layer is not None
    assert (last.layer.rank, last.layer.channel_axis) == (4, 1)
    assert parts(last)["x"] == "computed"


def test_dtypes_are_widened_and_never_narrowed_in_silence() -> None:
    """float16 fits a float32 layer; a float64 x does not; parameters that lose bits are called rounded."""
    wide = Conventions(dtypes=("float32",))
    assert parts(translate(Conventions(), wide, layer_of(wide, "float16")).inference)["dtype"] == "computed"
    assert (
        parts(translate(Conventions(), wide, layer_of(wide, "float64", "float64")).inference)["dtype"] == "impossible"
    )
    half = Conventions(dtypes=("float16",), half_parameters=("input",))
    layer = layer_of(half, "float16", beta=np.array([0.1, 0.2, 7e4], np.float32))
    assert parts(translate(Conventions(), half, layer).inference)["beta"] == "impossible"
    layer = layer_of(half, "float16", beta=np.array([0.1, 0.2, 0.5], np.float32))
    assert parts(translate(Conventions(), half, layer).inference)["beta"] == "rounded"


def test_absent_parameters_become_one_and_zero_where_they_must_exist() -> None:
    """They may not be trained then."""
    fused = BUILTIN["tensorflow.fused"]
    found = translate(Conventions(), fused, layer_of(fused, gamma=None, beta=None)).training
    assert parts(found)["gamma"] == parts(found)["beta"] == "computed"
    assert "gamma and beta are not trained" in found.needs


def test_conditions_name_the_batches_on_which_the_two_part() -> None:
    """What the source refuses cannot differ; what it computes and the target refuses does."""
    torch, keras = BUILTIN["torch.nn"], BUILTIN["keras"]
    there = translate(keras, torch, layer_of(keras), 4).training.needs
    back = translate(torch, keras, layer_of(torch), 4).training.needs
    assert any("count >= 2" in n for n in there)
    assert not any("count >= 2" in n for n in back)
    assert any("the layer is not frozen" in n for n in there)


@pytest.mark.parametrize(
    "wrong",
    [
        {"beta": None},
        {"momentum": 1.5},
        {"epsilon": -1.0},
        {"dtype": "float8"},
        {"channel_axis": 4},
        {"running_var": np.ones(2, np.float32)},
        {"running_mean": np.full(3, np.nan, np.float32)},
    ],
    ids=lambda w: next(iter(w)),
)
def test_a_malformed_layer_is_refused(wrong: dict[str, Any]) -> None:
    """With what is wrong."""
    with pytest.raises(UsageError, match="cannot be translated"):
        layer_of(Conventions(), **wrong)
