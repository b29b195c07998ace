"""What a finding rests on, as data: the relation that was broken, where, and by how much; and what is known of it.

Programs read this; nothing reads a message. Every field but ``step``, ``call`` and ``relation`` is absent where it has no
meaning for the relation.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: error / bound; infinite is the string "inf" because JSON has no infinity; None where nothing was judged.
Ratio = float | str | None

#: The relation that must hold between what came and what was expected.
Relation = Literal[
    "within_bound",  # |got - expected| <= bound, elementwise; expected is the oracle's
    "agrees",  # two results of the layer differ by at most the sum of both bounds
    "equal_bits",  # two results, or a result and a state, agree in every bit
    "unchanged",  # what a call must leave alone has its bits: an argument, a parameter, an earlier result, the state
    "separate_memory",  # a result shares no memory with what the caller or the layer can write to
    "shape",  # a result has its shape
    "dtype",  # a result has its dtype
    "present",  # a result is there
    "finite",  # an element is finite
    "not_finite",  # an element is NaN or infinite: what came in must show
    "zero",  # an element is zero
    "not_negative",  # an element is not negative
    "differs",  # a channel is not the same value all over; `index` is the channel
    "sums",  # the mean or the sum of an output over a channel is a value, within its bound; `index` is the channel
    "equals",  # an element equals a value exactly
    "bounded",  # an element is at most `bound` in magnitude
    "returns",  # the call returns: no exception
    "raises",  # the call raises: a malformed call is refused
    "completes",  # the process survives the case, in time
    "repeats",  # what was seen once is seen again
]

#: How a known deviation is classed: it contradicts the framework's documentation or the definition; the framework says so;
#: right semantics, computed less exactly than good implementations do.
DeviationClass = Literal["bug", "documented difference", "accuracy"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the case that is shown: what was called, what was expected, what came.

    Attributes:
        step: number of the call in the case; call: its name.
        relation: what was broken.
        output: the result or state that is looked at: "y", "dx", "running_var", ...; index: the element of it.
        expected, got: a number, or the name of a dtype, a shape or an exception; bound, ratio: on and of the error.
        compared_with: number of the step whose result or state is the other side of the relation.
        names: arguments, parameters or earlier results that were written to, or that share memory.
        exception: class name and text of what was raised.
    """

    step: int
    call: str
    relation: Relation
    output: str | None = None
    index: tuple[int, ...] | None = None
    expected: float | str | None = None
    got: float | str | None = None
    bound: float | str | None = None
    ratio: Ratio = None
    compared_with: int | None = None
    names: tuple[str, ...] = ()
    exception: str | None = None


class KnownDeviation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The entry of a known deviation that covers a finding.

    Attributes:
        kind: its class; reason: one sentence; link: where it is documented or reported, "" where nowhere.
        conditions: on which inputs it happens, in words.
        package, versions: the releases in which it is known, as a PEP 440 specifier.
    """

    kind: DeviationClass
    reason: str
    conditions: str
    package: str
    versions: str
    link: str = ""
