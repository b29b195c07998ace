"""What a finding rests on, as data: the relation that was broken, where, and by how much; and what is known of it.

Programs read this; nothing reads a message. Every field but ``step``, ``call`` and ``relation`` is absent where it has no
meaning for the relation.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, SupportsFloat

import msgspec

from bnspec.reports.run.fields import ArrayName, Count, Identifier, Number

#: The relation that must hold between what came and what was expected.
Relation = Literal[
    "within_bound",  # |got - expected| <= bound, elementwise; expected is the oracle's
    "agrees",  # two results of the layer differ by at most the sum of both bounds
    "equal_bits",  # two results, or a result and a state, agree in every bit
    "unchanged",  # what a call must leave alone has its bits: an argument, a parameter, an earlier result, the state
    "separate_memory",  # a result shares no memory with what the caller or the layer can write to
    "inside",  # a call reads and writes inside its arrays only; `names`: beside which it did not
    "shape",  # a result has its shape
    "dtype",  # a result has its dtype
    "present",  # a result is there
    "finite",  # an element is finite
    "not_finite",  # an element is NaN or infinite: what came in must show
    "zero",  # an element is zero
    "not_negative",  # an element is not negative
    "differs",  # a channel is not the same value all over; `index` is the channel
    "sums",  # the mean or the sum of an output over a channel is a value, within its bound; `index` is the channel
    "no_offset",  # over many channels, the mean error of an output is at most `bound`, in u of the channels' values
    "no_gain",  # the same of the errors of its magnitude
    "equals",  # an element equals a value exactly
    "bounded",  # an element is at most `bound` in magnitude
    "returns",  # the call returns: no exception
    "raises",  # the call raises: a malformed call is refused
    "completes",  # the process survives the case, in time
    "repeats",  # what was observed once is observed again
]

#: What a deviation needs of its process, where it does not happen whenever its case is run.
History = Literal[
    "first_run",  # that the case has not run there before; it conforms when it is run again
    "new_process",  # that nothing has run there before; it deviates again when it is run again
    "after_other_cases",  # that other cases have run there before
]

#: How a known deviation is classed: it contradicts the framework's documentation or the definition; the framework says so;
#: right semantics, computed less exactly than good implementations do.
DeviationClass = Literal["bug", "documented difference", "accuracy"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Of the case that is shown: what was called, what was expected, what came.

    Attributes:
        step: number of the call in the case, 0 where a process ended in a call that is not known; call: its name.
        relation: what was broken.
        output: the result or state that is judged: "y", "dx", "running_var", ...; index: the element of it.
        expected, got: a number ("nan", "inf" and "-inf" where JSON has none), or the name of a dtype, a shape or a status;
            bound, ratio: on and of the error.
        compared_with: number of the step whose result or state is the other side of the relation; absent where that is the
            same call, or the case.
        names: arguments, parameters or earlier results that were written to, that share memory, or that are missing.
        exception: class name and text of what was raised.
        history: what the deviation needs of its process; absent where the case suffices.
    """

    step: Count
    call: Identifier
    relation: Relation
    output: Identifier | None = None
    index: Annotated[tuple[Count, ...], msgspec.Meta(max_length=32)] | None = None
    expected: float | str | None = None
    got: float | str | None = None
    bound: Number | None = None
    ratio: Number | None = None
    compared_with: Count | None = None
    names: tuple[ArrayName, ...] = ()
    exception: str | None = None
    history: History | None = None


class KnownDeviation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
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


def recorded(value: SupportsFloat | tuple[int, ...] | str | None) -> float | str | None:
    """A number, a shape or a name as evidence holds it: finite numbers as floats, others as "nan", "inf" and "-inf"."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else str(number)


def sentence(evidence: Evidence) -> str:
    """One line for a person: which element of what, what was expected, what came; or nothing where no numbers are known."""
    e = evidence
    if e.expected is None or e.got is None:
        return ""
    index = "" if e.index is None else f"[{', '.join(map(str, e.index))}]"
    times = "" if e.bound is None or e.ratio is None else f", {float(e.ratio):.3g} times the bound"
    return f"{e.output or 'the result'}{index} of {e.call} is {e.got}, expected {e.expected}{times}"


def known_sentence(known: KnownDeviation) -> str:
    """The class and the reason, for a person."""
    return f"{known.kind}: {known.reason}"
