"""Assertions on how a call ends and what it gives: exceptions, shapes, dtypes, memory, a process that survives."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.repro.assertion import LIKE_X, STATE, Assertion, caught, printed, variable
from bnspec.conformance.repro.deviation import Deviation
from bnspec.model.case import PARAMETERS

#: An exception in one line.
RAISED = "repr(error)[:300]"


def shape(d: Deviation) -> Assertion:
    """The result has its shape."""
    inputs = d.case.arrays[d.call.inputs[0]].shape if d.call.inputs else ()
    wanted = inputs if d.output in LIKE_X else (d.case.config.channels,)

    def after(writer: Writer) -> Lines:
        return _equal(writer.shape(variable(writer, d.output)), repr(wanted))

    return Assertion({d.step: "y"}, d.output, after)


def dtype(d: Deviation) -> Assertion:
    """The result has its dtype."""

    def after(writer: Writer) -> Lines:
        return _equal(writer.dtype(variable(writer, d.output)), string(str(d.evidence.expected)))

    return Assertion({d.step: "y"}, d.output, after)


def _equal(got: str, expected: str) -> Lines:
    return [f"got = {got}", f"expected = {expected}", printed("got", "expected"), "assert got == expected"]


def separate_memory(d: Deviation) -> Assertion:
    """A result shares no memory with an argument, a parameter or the state."""
    names = d.evidence.names if d.evidence.output is None else (d.evidence.output, *d.evidence.names)
    if len(names) < 2:
        raise NoScript("the evidence does not say what shares memory")
    result, other = names[:2]
    shared = f"expected False: whether {result} shares memory with {other}"

    def after(writer: Writer) -> Lines:
        mine = writer.host(variable(writer, result))
        theirs = writer.host(writer.variable(other) if other in PARAMETERS else variable(writer, other, other))
        return [
            f"got = np.shares_memory({mine}, {theirs})",
            f'print("got", got, {string(shared)})',
            "assert not got",
        ]

    return Assertion({d.step: "y"}, next((n for n in (result, other) if n in STATE), result), after)


def returns(d: Deviation) -> Assertion:
    """The call raises no exception. Another exception than the recorded one ends the script before it prints."""
    kind = (d.evidence.exception or "Exception").partition(":")[0]
    body = [
        f"assert type(error).__name__ == {string(kind)}, error",
        f'print("got", {RAISED}, "expected no exception")',
        "raise",
    ]
    return Assertion(
        {d.step: "y"}, d.whole_call, lambda writer: ['print("got no exception")'], caught=[caught("Exception", body)]
    )


def raises(d: Deviation) -> Assertion:
    """The call raises an exception; a fit of nothing may also leave statistics that are not finite."""
    refused = [caught("Exception", [f'print("got", {RAISED})', "raise SystemExit(0)"])]
    if d.call.call.kind == "fit":

        def fitted(writer: Writer) -> Lines:
            statistics = ", ".join(writer.host(writer.variable(n)) for n in ("mean", "var"))
            return [
                f"got = np.stack([{statistics}])",
                'print("got", got, "of nothing, expected an exception, or nothing finite")',
                "assert not np.isfinite(got).all()",
            ]

        return Assertion({d.step: "y"}, "state", fitted, caught=refused)
    why = _why_refused(d)

    def after(writer: Writer) -> Lines:
        return [f'print("got a result, expected an exception: {why}")', "raise SystemExit(1)"]

    return Assertion({d.step: "y"}, "state" if d.call.refused else d.whole_call, after, caught=refused)


def _why_refused(d: Deviation) -> str:
    """Why the call should be refused, for people."""
    if not d.call.refused:
        return "the backend declares that it refuses a batch of this size"
    others = [n for n in d.call.inputs if n not in ("x", "dy")] or [k for k, _ in d.call.options if k in PARAMETERS]
    return f"the shape of {' and '.join(others) or 'an argument'} is wrong"


def inside(d: Deviation) -> Assertion:
    """Raises NoScript."""
    raise NoScript("the red zones around the arrays are the worker's: replay the case")


def completes(d: Deviation) -> Assertion:
    """The process survives every step: reaching the end is the good end."""
    return Assertion(dict.fromkeys(range(len(d.case.steps)), "y"), "state", lambda writer: ['print("got to the end")'])


def repeats(d: Deviation) -> Assertion:
    """Raises NoScript."""
    raise NoScript("it happened once, and not again when the case was repeated")


def present(d: Deviation) -> Assertion:
    """Raises NoScript."""
    raise NoScript("a result that is missing has no value that a script could print")
