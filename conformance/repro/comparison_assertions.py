"""Assertions on two results of one script, or on a state before and after: bits, and bounds on a difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, noted
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.repro.assertion import EXPECTED, LIKE_X, STATE, Assertion, Written, brackets, variable
from bnspec.conformance.repro.deviation import Deviation
from bnspec.model.case import PARAMETERS
from bnspec.model.relations import RELATIONS

#: What the second call differs in, for people; {k} is the relation's number.
DIFFERENCE = {
    "flipped": "with x and dy in reverse order",
    "channels_flipped": "with the channels in reverse order",
    "rows": "with all reduced axes joined",
    "packed": "with packed copies",
    "threads": "with another number of threads",
    "twice": "with every element twice",
    "scaled": "with {k} * x and {k}^2 * epsilon",
    "shifted": "with x + {k}",
    "decay": "with another decay",
    "cotangent": "with {k} * dy",
    "moved_epsilon": "with the same sum of variance and epsilon",
    "units": "fitted and transformed with {k} * x",
    "": "of the same x, from another state",
}


def agrees(d: Deviation) -> Assertion:
    """The element follows from an element of the other call's result, within both bounds."""
    j, bound, index = d.compared_with(), d.bound, brackets(d.element())
    name, _, number = str(d.call.option("relation", "")).partition(":")
    origin, factor = _origin(d, j, name, float(number or 1.0)) if name else (d.element(), 1.0)
    first = "first" if d.output in ("y", "x") else "y"

    def taken(writer: Writer) -> Lines:
        other = variable(writer, d.output, first)
        return [f"expected = {writer.element(other, brackets(origin))}{'' if factor == 1.0 else f' * {factor!r}'}"]

    def after(writer: Writer) -> Lines:
        got = writer.element(variable(writer, d.output), index)
        if writer.compact:
            return [
                noted(f'print("got", {got}, "expected", expected)', DIFFERENCE.get(name, "").format(k=number)),
                noted(f"assert abs({got} - expected) <= {bound!r}", "the bounds on the rounding errors of both"),
            ]
        return [
            noted(f"got = {got}", DIFFERENCE.get(name, "").format(k=number)),
            'print("got", got, "expected", expected)',
            noted(f"assert abs(got - expected) <= {bound!r}", "the bounds on the rounding errors of both"),
        ]

    return Assertion({j: first, d.step: "y"}, d.output, after, between=taken)


def _origin(d: Deviation, j: int, name: str, k: float) -> tuple[tuple[int, ...], float]:
    """The element of the first result that the element follows from, and the factor between them."""
    index = d.element()
    if name == "units":
        return index, float(np.sign(k))
    if name not in RELATIONS or d.output not in RELATIONS[name].follows:
        raise NoScript(f"the finding is of the relation {name!r}, which says nothing of {d.output}")
    config = d.case.overridden(d.case.overrides(j)).config
    shape = d.case.arrays[d.case.steps[j].inputs[0]].shape if d.output in ("y", "dx") else (config.channels,)
    rule = RELATIONS[name].follows[d.output]
    factor = float(rule(np.ones(shape), config, k)[index])
    if factor == 0.0:  # whatever it was
        return index, 0.0
    place = rule(np.arange(float(np.prod(shape))).reshape(shape), config, k)[index] / factor
    return tuple(int(n) for n in np.unravel_index(round(float(place)), shape)), factor


def equal_bits(d: Deviation) -> Assertion:
    """Two results have the same bits: all of them, the rows that the second call was given, or those that its mask keeps."""
    i, j, output = d.step, d.compared_with(), d.output
    first, second = d.case.steps[j], d.call
    rows = ""
    if first.inputs and second.inputs and second.inputs[0].startswith(f"{first.inputs[0]}[") and output in LIKE_X:
        rows = second.inputs[0][len(first.inputs[0]) :]
    padded = second.call.has_mask and first.inputs != second.inputs and output == "y"

    def bits(writer: Writer, y: str, cut: str) -> str:
        result = variable(writer, output, y)
        if padded:
            mask = writer.host(writer.given(second.inputs[-1]))
            return f"{writer.host(result)}[np.broadcast_to({mask}, {writer.shape(result)})]"
        return f"{writer.host(result)}{cut}"

    if output in ("y", "x") and not padded:  # each call has a name of its own for it

        def asserted(writer: Writer) -> Lines:
            return [
                f'print("got", second, "expected the same bits as", first{rows})',
                f"assert {bits(writer, 'second', '')}.tobytes() == {bits(writer, 'first', rows)}.tobytes()",
            ]

        return Assertion({j: "first", i: "second"}, output, asserted)

    def taken(writer: Writer) -> Lines:
        return [f"first = {bits(writer, 'y', '')}.copy()"]

    def after(writer: Writer) -> Lines:
        what = f"{output} where the mask keeps" if padded else output
        return [
            noted(f"second = {bits(writer, 'y', '')}", what),
            'print("got", second, "expected the same bits as", first)',
            "assert second.tobytes() == first.tobytes()",
        ]

    return Assertion({j: "y", i: "y"}, output, after, between=taken)


def unchanged(d: Deviation) -> Assertion:
    """What a call must leave alone has its bits: arguments, parameters, earlier results, or the state.

    The state is read before the call and after it; where another step is the other side, after that one and before the call,
    or after the call where this takes nothing, such as a copy of the layer.
    """
    i, j = d.step, d.evidence.compared_with
    if d.evidence.names:
        return _written_to(d, d.evidence.names[0])
    names = STATE if d.evidence.output is None else (d.output,)
    wanted = names[0] if len(names) == 1 else "state"

    def taken(name: str) -> Written:
        return lambda writer: [f"{name} = {snapshot(writer, names)}"]

    def after(writer: Writer) -> Lines:
        return compared(" and ".join(names))

    def left(writer: Writer) -> Lines:
        if writer.compact and len(names) == 1:
            return compared(names[0], writer.host(writer.variable(names[0])))
        return [*taken("after")(writer), *after(writer)]

    if j is None or j == i:
        refused = d.finding.clause == "errors.leave_the_state" or d.may_raise(d.call)
        clauses = [EXPECTED] if refused else []
        return Assertion({i: "y"}, wanted, left, before=taken("before"), caught=clauses)
    if d.call.call.between:
        return Assertion({j: "y", i: "y"}, wanted, left, between=taken("before"))
    return Assertion({j: "y", i: "y"}, wanted, after, between=taken("before"), before=taken("after"))


def compared(what: str, after: str = "after") -> Lines:
    """The statements that compare the bits of an expression with those of ``before``."""
    return [f'print("got {what}", {after}, "expected", before)', f"assert {after}.tobytes() == before.tobytes()"]


def snapshot(writer: Writer, names: Sequence[str]) -> str:
    """The statistics as an expression that keeps its value."""
    if len(names) == 1:
        return f"{writer.host(writer.variable(names[0]))}.copy()"
    return f"np.stack([{', '.join(writer.host(writer.variable(n)) for n in names)}])"


def _written_to(d: Deviation, name: str) -> Assertion:
    """An argument or a parameter, before and after the call; or a result of the call before."""
    i, arguments = d.step, (*d.call.inputs, *PARAMETERS)
    if name in arguments:

        def argument(writer: Writer) -> str:
            return writer.host(writer.given(name) if name in d.call.inputs else writer.variable(name))

        def before(writer: Writer) -> Lines:
            return [f"before = {argument(writer)}.copy()"]

        def after(writer: Writer) -> Lines:
            return compared(name, argument(writer))

        return Assertion({i: "y"}, name if name in STATE else d.whole_call, after, before=before)
    if d.evidence.compared_with is None or name not in (*LIKE_X, "dgamma", "dbeta"):
        raise NoScript(f"the evidence says that {name} was written to, which no statement names")

    own = name in ("y", "x")  # each call has a name of its own for it

    def kept(writer: Writer) -> Lines:
        named = [] if own else [f"earlier = {writer.variable(name)}"]
        return [*named, f"before = {writer.host('earlier')}.copy()"]

    def left(writer: Writer) -> Lines:
        return compared(f"the earlier {name}", writer.host("earlier"))

    return Assertion({d.compared_with(): "earlier" if own else "y", i: "y"}, name, left, between=kept)
