"""The forms that the catalogue's cases share: a form costs compiled programs, so there are few."""

from __future__ import annotations

import dataclasses

from bnspec.conformance.cases.building import Form

TINY, ROWS = Form((2, 3), 1), Form((9, 5), 1)
IMAGE, IMAGE_LAST = Form((4, 3, 5, 2), 1), Form((4, 5, 2, 3), 3)
LINE, LINE_LAST = Form((6, 4, 7), 1), Form((6, 7, 4), 2)
VOLUME, VOLUME_LAST = Form((3, 2, 4, 5, 7), 1), Form((3, 4, 5, 7, 2), 4)
#: The channels before the last axis, whose extent theirs is, as is that of the batch.
MIDDLE = Form((4, 5, 4, 4), 2)
#: Every call is made on these by the catalogue.
EVERYWHERE = (TINY, IMAGE, IMAGE_LAST)
SMALL = 2.0**-23


def in_dtype(form: Form, dtype: str, parameter_dtype: str = "float32") -> Form:
    """The form with x of this dtype."""
    return dataclasses.replace(form, dtype=dtype, parameter_dtype=parameter_dtype)


def in_float64(form: Form) -> Form:
    """The form in float64 throughout."""
    return in_dtype(form, "float64", "float64")
