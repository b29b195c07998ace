"""The assertion of each relation that evidence can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.conformance.repro import call_assertions as calls
from bnspec.conformance.repro import comparison_assertions as comparisons
from bnspec.conformance.repro import element_assertions as elements
from bnspec.conformance.repro.assertion import Assertion
from bnspec.conformance.repro.deviation import Deviation
from bnspec.conformance.repro.error_statistics import mean_error
from bnspec.reports.run.evidence import Relation

ASSERTIONS: Mapping[Relation, Callable[[Deviation], Assertion]] = {
    "within_bound": elements.within_bound,
    "agrees": comparisons.agrees,
    "equal_bits": comparisons.equal_bits,
    "unchanged": comparisons.unchanged,
    "separate_memory": calls.separate_memory,
    "inside": calls.inside,
    "shape": calls.shape,
    "dtype": calls.dtype,
    "present": calls.present,
    "finite": elements.finite,
    "not_finite": elements.not_finite,
    "zero": elements.zero,
    "not_negative": elements.not_negative,
    "differs": elements.differs,
    "sums": elements.sums,
    "no_offset": mean_error,
    "no_gain": mean_error,
    "equals": elements.equals,
    "bounded": elements.bounded,
    "returns": calls.returns,
    "raises": calls.raises,
    "completes": calls.completes,
    "repeats": calls.repeats,
}


def assertion_of(deviation: Deviation) -> Assertion:
    """The assertion of a deviation. Raises NoScript: its relation or its evidence has none."""
    return ASSERTIONS[deviation.evidence.relation](deviation)
