"""The features of a case that a deviation may need, in the order in which experiments make them ordinary."""

from __future__ import annotations

from bnspec.conformance.causes.calls import HISTORY, INITIAL_VALUES, OWN_SETTINGS, THREADS
from bnspec.conformance.causes.feature import Feature
from bnspec.conformance.causes.layouts import LAYOUT_FEATURES
from bnspec.conformance.causes.parameters import AFFINE, BETA, DECAY, DTYPE, EPSILON, GAMMA, SMALL_EPSILON, STATE
from bnspec.conformance.causes.shapes import (
    COUNT,
    EMPTY_CHUNK,
    EQUAL_EXTENTS,
    EXTENTS,
    MANY_CHANNELS,
    ONE_CHANNEL,
    ONE_ROW,
    RANK,
)
from bnspec.conformance.causes.values import VALUES_OF_DY, VALUES_OF_X

#: Values come early, so that the others are examined on ordinary values, and after the count, since one value is constant; dy
#: before x: a constant dy hides what x does to dx.
FEATURES: tuple[Feature, ...] = (
    OWN_SETTINGS,
    EMPTY_CHUNK,
    EQUAL_EXTENTS,
    ONE_CHANNEL,
    ONE_ROW,
    COUNT,
    VALUES_OF_DY,
    VALUES_OF_X,
    STATE,
    *LAYOUT_FEATURES,
    DTYPE,
    THREADS,
    HISTORY,
    RANK,
    EXTENTS,
    MANY_CHANNELS,
    INITIAL_VALUES,
    AFFINE,
    GAMMA,
    BETA,
    EPSILON,
    SMALL_EPSILON,
    DECAY,
)
