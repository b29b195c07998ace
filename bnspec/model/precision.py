"""Unit roundoffs and ranges of the dtypes, and the precisions that a computation uses under given conventions."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from bnspec.model.conventions import HALVES, ROOT_ROUNDINGS, Conventions
from bnspec.model.vocabulary import Tier


@dataclasses.dataclass(frozen=True)
class Precision:
    """A floating-point format.

    Attributes:
        unit_roundoff: u, half the distance from 1 to the next number.
        smallest: the smallest normal number; results below it may be flushed to zero.
        largest: the largest finite number.
        root_roundings: see ``Conventions.root_roundings``.
    """

    unit_roundoff: float
    smallest: float
    largest: float
    root_roundings: float = ROOT_ROUNDINGS


#: Source: IEEE 754-2019 table 3.5; bfloat16 has float32's exponent and 8 bits of precision.
PRECISIONS = {
    "float64": Precision(2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max)),
    "float32": Precision(2.0**-24, 2.0**-126, float(np.finfo(np.float32).max)),
    "float16": Precision(2.0**-11, 2.0**-14, 65504.0),
    "bfloat16": Precision(2.0**-8, 2.0**-126, (2.0 - 2.0**-7) * 2.0**127),
}


@dataclasses.dataclass(frozen=True)
class Units:
    """The precisions of one layer's computation.

    Attributes:
        storage: of x, y, dy and dx.
        parameter: of gamma, beta, dgamma, dbeta and the running statistics.
        statistics: in which means, variances and sums are formed.
        arithmetic: in which the normalised value is formed.
    """

    storage: Precision
    parameter: Precision
    statistics: Precision
    arithmetic: Precision


@functools.lru_cache(maxsize=256)
def units_of(conventions: Conventions, dtype: str, parameter_dtype: str, tier: Tier = "permissive") -> Units:
    """The precisions that bounds of this tier assume for x and parameters of these dtypes.

    The lenient tier allows computation in x's own precision; the other tiers require the wider precision that the conventions
    declare.
    """
    half = dtype in HALVES and tier != "lenient"
    statistics = conventions.half_statistics if half else "input"
    arithmetic = conventions.half_arithmetic if half else "input"
    wide = {"float32": "float32", "input": dtype, "parameters": parameter_dtype}
    formed = dataclasses.replace(PRECISIONS[wide[arithmetic]], root_roundings=conventions.root_roundings)
    return Units(PRECISIONS[dtype], PRECISIONS[parameter_dtype], PRECISIONS[wide[statistics]], formed)
