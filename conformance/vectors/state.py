"""Test vectors of the families running, inference and gradient."""

from __future__ import annotations

from collections.abc import Iterator

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.vectors.plan import BOTH, FORMS, INFERENCE_STEPS, TRAINING_STEPS, TWO_STEPS, VectorPlan
from bnspec.model.call import INFERENCE
from bnspec.model.case import Step

NC, NCHW, PAIR = FORMS["nc"], FORMS["nchw"], Form((2, 3), 1)


def running() -> Iterator[VectorPlan]:
    """The family running."""
    family, both = "running", ("running.mean", "running.var")
    for name, form in {"pair": PAIR, **FORMS}.items():
        flags = ("few_values",) if form is PAIR else ("extreme_state",)
        yield VectorPlan(
            family,
            f"step_{name}",
            "One step from statistics that are not 0 and 1.",
            (*both, "running.moves_once_with_gradients"),
            flags,
            Plan(form, "wide", seed=41),
        )
        yield VectorPlan(
            family,
            f"decay_0_{name}",
            "decay 0: the batch's statistics, bare.",
            (*both, "running.decay_zero_replaces"),
            (*flags, "decay_limit"),
            Plan(form, "narrow", decay=0.0, seed=42),
        )
        yield VectorPlan(
            family,
            f"decay_1_{name}",
            "decay 1: nothing moves.",
            ("running.decay_one_keeps",),
            ("decay_limit",),
            Plan(form, "wide", decay=1.0, seed=43),
        )
        yield VectorPlan(
            family,
            f"second_step_{name}",
            "The second step starts from where the first one ended.",
            (*both, "running.second_step_continues"),
            (*flags, "second_step"),
            Plan(form, "wide", x2="narrow", decay=0.5, seed=44),
            TWO_STEPS,
        )
    yield VectorPlan(
        family,
        "decay_0.9",
        "A decay that is no power of two.",
        both,
        ("ordinary",),
        Plan(NCHW, "wide", decay=0.9, seed=45),
    )
    yield VectorPlan(
        family,
        "initial_state",
        "From statistics of 0 and 1, as new layers have them.",
        both,
        ("ordinary",),
        Plan(NCHW, "wide", state="initial", seed=46),
    )
    yield VectorPlan(
        family,
        "large_mean",
        "The tracked variance of data with a large mean.",
        ("running.statistics_are_stable", "running.var"),
        ("large_mean",),
        Plan(NCHW, "mean_1e4", state="like_x", seed=47),
    )
    yield VectorPlan(
        family,
        "not_negative",
        "A few units in the last place around a level: a variance by cancellation turns negative.",
        ("running.var_not_negative",),
        ("constant_channel", "large_mean"),
        Plan(NCHW, "near_constant", decay=0.0, seed=48),
    )


def inference() -> Iterator[VectorPlan]:
    """The family inference."""
    family, output = "inference", ("inference.output", "inference.keeps_state")
    for name, form in FORMS.items():
        yield VectorPlan(
            family,
            f"plain_{name}",
            "Normalised by the running statistics, which are far from x's own.",
            output,
            ("ordinary",),
            Plan(form, seed=51),
            INFERENCE_STEPS,
        )
        yield VectorPlan(
            family,
            f"large_mean_{name}",
            "A folded form x a + b cancels.",
            output,
            ("large_mean",),
            Plan(form, "mean_1e4", state="like_x", seed=52),
            INFERENCE_STEPS,
        )
        case = batch_norm_case(Plan(form, seed=51))
        row = next(n for n in case.arrays if n.endswith("]"))
        yield VectorPlan(
            family,
            f"row_{name}",
            "One row alone: the same function of it as in the batch.",
            ("inference.value_is_independent_of_batch",),
            ("ordinary",),
            Plan(form, seed=51),
            (Step(INFERENCE, (row,), True),),
        )
    yield VectorPlan(
        family,
        "extreme_state",
        "Running variances of 1e-9 and 60,000.",
        output,
        ("extreme_state",),
        Plan(NCHW, state="extreme", epsilon=1e-12, seed=53),
        INFERENCE_STEPS,
    )
    yield VectorPlan(
        family,
        "initial_state",
        "Statistics of 0 and 1: nearly the identity.",
        output,
        ("ordinary",),
        Plan(NCHW, state="initial", seed=54),
        INFERENCE_STEPS,
    )


def gradient() -> Iterator[VectorPlan]:
    """The family gradient."""
    family = "gradient"
    trained = ("gradient.training_dx", "gradient.training_dgamma", "gradient.training_dbeta")
    inferred = ("gradient.inference_dx", "gradient.inference_parameters")
    for name, form in FORMS.items():
        yield VectorPlan(
            family,
            f"random_{name}",
            "A random cotangent with a mean of its own.",
            (*trained, *inferred),
            ("ordinary",),
            Plan(form, "narrow", seed=61),
            BOTH,
        )
        yield VectorPlan(
            family,
            f"constant_{name}",
            "The null space of dx in training; in inference dx is not 0: the two formulas taken for each other show.",
            ("gradient.null_space", *inferred),
            ("constant_cotangent",),
            Plan(form, "wide", cotangent="constant", seed=62),
            BOTH,
        )
        yield VectorPlan(
            family,
            f"one_hot_{name}",
            "1 in one place: the paths through mean and variance show alone.",
            (*trained, *inferred),
            ("one_hot_cotangent",),
            Plan(form, "wide", cotangent="one_hot", seed=63),
            BOTH,
        )
        yield VectorPlan(
            family,
            f"ramp_{name}",
            "A cotangent that is correlated with nothing but the order.",
            trained,
            ("ordinary",),
            Plan(form, "ordinary", cotangent="ramp", seed=64),
            TRAINING_STEPS,
        )
    yield VectorPlan(
        family,
        "large_mean",
        "dgamma as sum(dy x) - mean sum(dy) cancels.",
        ("gradient.training_is_stable", *trained),
        ("large_mean",),
        Plan(NCHW, "mean_1e4", seed=65),
    )
    yield VectorPlan(
        family,
        "epsilon_counts",
        "Where epsilon and variance are alike, the path through the variance is weak but there.",
        trained,
        ("epsilon_counts",),
        Plan(NCHW, "like_epsilon", epsilon=0.25, seed=66),
    )
