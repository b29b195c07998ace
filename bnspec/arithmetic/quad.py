"""Quad-precision arithmetic, in which the oracle evaluates the equations.

``numpy_quaddtype`` gives IEEE binary128 arrays: 113 bits, unit roundoff 2^-113, exponents to 2^16384. Every value of the four
dtypes converts to it exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy_quaddtype import QuadPrecDType

QUAD = QuadPrecDType()
Quad = Any  # an array of QUAD


def quad(values: Any) -> Quad:
    """The values in quad precision, exactly.

    Args:
        values: array of float16, bfloat16, float32, float64 or quad; or a Python number (a double).
    """
    array = np.asarray(values)
    if array.dtype == QUAD:
        return array
    return array.astype(np.float64).astype(QUAD)


def double(values: Any) -> np.ndarray:
    """The values rounded to float64; infinite beyond its range."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(values).astype(np.float64)
