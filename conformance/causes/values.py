"""Values as features: those of x and of its cotangents, and ordinary ones in their place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bnspec.conformance.causes.arrays import cotangents_of, inputs_of, laid_out_like, with_arrays
from bnspec.conformance.causes.feature import Feature
from bnspec.model.case import Case

#: Values that the clauses on special values and on degenerate counts speak of.
NOT_FINITE, CONSTANT, OVERFLOWING = "NaN or infinite", "constant in a channel", "so large that squares overflow"
KINDS_OF_VALUES = frozenset({NOT_FINITE, CONSTANT, OVERFLOWING})


def ordinary_values(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Values near 0 with a standard deviation near 1, the same ones for the same name and shape."""
    seed = sum(name.encode()) + 1000 * len(shape)
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def kind_of_values(case: Case, names: list[str]) -> str:
    """The most particular thing about the values of these arrays; a small case shows the rest."""
    wide = [case.arrays[n].astype(np.float64) for n in names if case.arrays[n].size]
    largest = float(np.finfo("float64" if case.config.dtype == "float64" else "float32").max) ** 0.5
    if any(not np.isfinite(a).all() for a in wide):
        return NOT_FINITE
    if any((np.abs(a) > largest).any() for a in wide):
        return OVERFLOWING
    if any((np.ptp(a, axis=case.config.reduce_axes) == 0).any() for a in wide):
        return CONSTANT
    return "as in the case" if wide else ""


def _values(name: str, chosen: Callable[[Case], list[str]]) -> Feature:
    def value(case: Case, _: int) -> str:
        return (
            "" if case.subject == "input_norm" else kind_of_values(case, chosen(case))
        )  # chunks are parts of the whole

    def changed(case: Case, _: int) -> Case | None:
        arrays = ordinary_of(case, chosen(case))
        return None if arrays is None else with_arrays(case, arrays)

    return Feature(name, "standard normal", value, changed)


def ordinary_of(case: Case, names: list[str]) -> dict[str, np.ndarray] | None:
    """Ordinary values in the layout of these arrays; None where elements share memory, and no others are laid out like them."""
    arrays = {n: case.arrays[n] for n in names}
    if any(0 in a.strides and not a.flags.c_contiguous for a in arrays.values()):
        return None
    return {n: laid_out_like(ordinary_values(n, a.shape, a.dtype), a) for n, a in arrays.items()}


VALUES_OF_X = _values("values of x", inputs_of)
VALUES_OF_DY = _values("values of dy", cotangents_of)
#: The features that are values of inputs.
VALUES = (VALUES_OF_X.name, VALUES_OF_DY.name)
