"""Cases for a kernel that takes x of one shape, and perhaps one epsilon."""

from __future__ import annotations

from collections.abc import Iterator

from bnspec.backends.kernels.kernel import Kernel
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions

#: Kinds of values, of parameters and of running statistics; each kind of values comes with each of the pairs.
VALUES = (
    "ordinary",
    "wide",
    "narrow",
    "mean_1e2",
    "mean_1e4",
    "alternating",
    "sorted",
    "constant",
    "near_constant",
    "exact",
    "nan",
    "infinite",
)
PAIRS = (("distinct", "distinct"), ("fine", "extreme"), ("zeros", "like_x"))
EPSILONS = (2.0**-10, 2.0**-4, 1e-5)


def fixed_form(kernel: Kernel, conventions: Conventions) -> Form | None:
    """The only form of x that the kernel takes; None where it takes others."""
    if not kernel.shape:
        return None
    rank = len(kernel.shape)
    return Form(kernel.shape, 1 if conventions.offers_axis(rank, 1) else rank - 1, kernel.dtype, kernel.dtype)


def fixed_cases(form: Form, epsilon: float | None, seed: int) -> Iterator[Case]:
    """Cases of this form; their values follow from the seed."""
    for i, kind in enumerate(VALUES):
        for j, (gamma, state) in enumerate(PAIRS):
            plan = Plan(
                form,
                kind,
                "alike",
                epsilon=EPSILONS[(i + j) % 3] if epsilon is None else epsilon,
                decay=0.75,
                gamma=gamma,
                state=state,
                seed=100 * seed + 10 * i + j,
            )
            yield batch_norm_case(plan)
