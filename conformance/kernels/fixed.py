"""Cases for a kernel that takes x of one shape, or of shapes with the same channels, and perhaps one epsilon."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from bnspec.backends.kernels.kernel import Kernel
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import HALVES, Conventions

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
#: Extents for those that are open, in the order of the axes.
EXTENTS = ((5, 3, 4, 2, 3, 2), (1, 6, 5, 4, 2, 2), (2, 1, 1, 1, 1, 1), (17, 8, 8, 2, 2, 2))
#: Elements of an x that is judged at most; of all x of one form; cases of a form at least.
LARGEST, ELEMENTS, AT_LEAST = 1 << 22, 1 << 17, 6


def fixed(kernel: Kernel) -> bool:
    """Whether an extent of x is fixed: then the cases of every kernel are none of this one."""
    return any(extent is not None for extent in kernel.shape)


def fixed_forms(kernel: Kernel, conventions: Conventions) -> list[Form]:
    """Forms of x that the kernel takes, where it takes one rank and dtype; several where some of its extents are open.

    Raises UsageError: it takes an x that is too large.
    """
    if not kernel.shape:
        return []
    rank = len(kernel.shape)
    axis = 1 if conventions.offers_axis(rank, 1) else rank - 1
    parameters = "float32" if kernel.dtype in HALVES and "input" not in conventions.half_parameters else kernel.dtype
    shapes = dict.fromkeys(tuple(taken(kernel.shape, extents)) for extents in EXTENTS)
    if min(math.prod(shape) for shape in shapes) > LARGEST:
        raise UsageError(
            f"x of shape {kernel.shape} is too large to be judged.",
            f"it has more than {LARGEST} elements, of which each is computed in quad precision.",
            "leave its extents open, or give a smaller one of the same layer.",
        )
    return [Form(shape, axis, kernel.dtype, parameters) for shape in shapes]


def taken(shape: Sequence[int | None], extents: Sequence[int]) -> Iterator[int]:
    """A shape: extents that are open take the next of these."""
    others = iter(extents)
    return (next(others) if extent is None else extent for extent in shape)


def fixed_cases(forms: Sequence[Form], epsilon: float | None, seed: int) -> Iterator[Case]:
    """Cases of these forms, of large ones fewer; their values follow from the seed."""
    for number, form in enumerate(forms):
        most = max(AT_LEAST, ELEMENTS // max(1, math.prod(form.shape)))
        yield from itertools.islice(of_form(form, epsilon, 1000 * seed + 200 * number), most)


def of_form(form: Form, epsilon: float | None, seed: int) -> Iterator[Case]:
    """The cases of one form; the first ones are of different kinds."""
    pairs = [(i, j) for j in range(len(PAIRS)) for i in range(len(VALUES))]
    for i, j in pairs:
        gamma, state = PAIRS[(i + j) % len(PAIRS)]
        yield batch_norm_case(
            Plan(
                form,
                VALUES[i],
                "alike",
                epsilon=EPSILONS[(i + 2 * j) % 3] if epsilon is None else epsilon,
                decay=0.75,
                gamma=gamma,
                state=state,
                seed=seed + 10 * i + j,
            )
        )
