"""Test vectors of the families training, epsilon and affine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bnspec.conformance.cases.building import Plan
from bnspec.conformance.vectors.plan import BOTH, FORMS, VectorPlan, typed

NC, NCHW = FORMS["nc"], FORMS["nchw"]


def training() -> Iterator[VectorPlan]:
    """The family training."""
    family, output = "training", ("training.output", "affine.per_channel")
    for name, form in FORMS.items():
        yield VectorPlan(
            family,
            f"plain_{name}",
            "Everything distinct, nothing default.",
            output,
            ("ordinary", "negative_gamma"),
            Plan(form, seed=11),
        )
        yield VectorPlan(
            family,
            f"own_statistics_{name}",
            "The running statistics are far from the batch's: y must not notice.",
            ("training.output", "training.ignores_running_state"),
            ("extreme_state",),
            Plan(form, "narrow", state="extreme", seed=12),
        )
        yield VectorPlan(
            family,
            f"wide_{name}",
            "A spread of 30: variance is not taken for its inverse.",
            output,
            ("ordinary",),
            Plan(form, "wide", seed=13),
        )
        yield VectorPlan(
            family,
            f"narrow_{name}",
            "A spread of 1/30, the same from the other side.",
            output,
            ("ordinary",),
            Plan(form, "narrow", seed=14),
        )
    stable = ("training.output_is_stable", "gradient.training_is_stable", "running.statistics_are_stable")
    for kind in ("mean_1e2", "mean_1e4", "mean_1e6"):
        for dtype in ("float32", "float64"):
            yield VectorPlan(
                family,
                f"{kind}_{dtype}",
                "A one-pass variance loses its digits.",
                stable,
                ("large_mean",),
                Plan(typed(NCHW, dtype), kind, epsilon=1e-5, seed=15),
            )
    for kind in ("sorted", "alternating", "outlier"):
        yield VectorPlan(
            family,
            kind,
            "An order or a value that is hard on running sums.",
            ("training.output", "training.output_is_stable"),
            ("order",),
            Plan(NCHW, kind, seed=16),
        )
    for kind in ("huge", "tiny"):
        yield VectorPlan(
            family,
            kind,
            "Values near the root of the range, whose squares just fit or vanish.",
            ("training.output",),
            ("wide_range",),
            Plan(NC, kind, seed=17),
        )
    yield VectorPlan(
        family,
        "pixels",
        "Whole numbers 0 to 255, as images come: finite in, finite out.",
        ("training.finite", "training.output"),
        ("ordinary",),
        Plan(NCHW, "pixels", seed=18),
    )
    yield VectorPlan(
        family,
        "exact",
        "Small whole numbers: sums and means are exact in every precision.",
        output,
        ("ordinary",),
        Plan(NC, "exact", seed=19),
    )


def epsilon() -> Iterator[VectorPlan]:
    """The family epsilon."""
    family, both = "epsilon", ("epsilon.inside_root_in_training", "epsilon.inside_root_in_inference")
    for name, form in FORMS.items():
        yield VectorPlan(
            family,
            f"above_variance_{name}",
            "epsilon far above the variance: outside the root, or after it, it gives another y.",
            both,
            ("epsilon_counts",),
            Plan(form, "narrow", epsilon=1.0, state="like_epsilon", seed=21),
            BOTH,
        )
        yield VectorPlan(
            family,
            f"like_variance_{name}",
            "epsilon of the size of the variance.",
            both,
            ("epsilon_counts",),
            Plan(form, "like_epsilon", epsilon=2.0**-4, state="like_epsilon", seed=22),
            BOTH,
        )
        yield VectorPlan(
            family,
            f"tiny_{name}",
            "An epsilon of 2^-23 that counts: a minimum of 1e-5 shows.",
            (*both, "epsilon.as_given"),
            ("tiny_epsilon", "epsilon_counts"),
            Plan(form, "like_epsilon", epsilon=2.0**-23, state="like_epsilon", seed=23),
            BOTH,
        )
    yield VectorPlan(
        family,
        "constant_channels",
        "1e-12 on constant channels: only epsilon divides.",
        ("epsilon.as_given", "degenerate.constant_channel"),
        ("tiny_epsilon", "constant_channel"),
        Plan(NCHW, "constant", epsilon=1e-12, state="like_epsilon", seed=24),
        BOTH,
    )
    yield VectorPlan(
        family,
        "not_tracked",
        "A large epsilon must not enter the running variance.",
        ("epsilon.not_in_running_variance",),
        ("epsilon_counts", "decay_limit"),
        Plan(NC, "narrow", epsilon=1.0, decay=0.0, seed=25),
    )


def affine() -> Iterator[VectorPlan]:
    """The family affine."""
    family, steps = "affine", BOTH
    for name, form in FORMS.items():
        yield VectorPlan(
            family,
            f"distinct_{name}",
            "A gamma and a beta of its own for each channel, one gamma negative.",
            ("affine.per_channel",),
            ("negative_gamma",),
            Plan(form, "wide", seed=31),
            steps,
        )
        yield VectorPlan(
            family,
            f"zeros_{name}",
            "Where gamma is 0, y is beta exactly and dx is 0; dgamma is not.",
            ("affine.zero_gamma_gives_beta", "gradient.training_dgamma"),
            ("zero_gamma",),
            Plan(form, gamma="zeros", seed=32),
            steps,
        )
        yield VectorPlan(
            family,
            f"absent_{name}",
            "No gamma and no beta: normalising only.",
            ("affine.absent_is_identity",),
            ("no_affine",),
            Plan(dataclasses.replace(form, affine=False), "wide", seed=33),
            steps,
        )
