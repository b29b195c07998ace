"""Assertions on one element of a result, or on one channel: a number, its error, or what kind of number it is."""

from __future__ import annotations

import math

import numpy as np

from bnspec.backends.harness.scripts.statements import Lines, noted
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.repro.assertion import LIKE_X, STATE, Assertion, Written, brackets, nothing, printed, variable
from bnspec.conformance.repro.deviation import Deviation
from bnspec.model.buffers import dtype_of


def within_bound(d: Deviation) -> Assertion:
    """The error of the element is at most its bound."""
    index, expected, bound = brackets(d.element()), d.expected, d.bound

    def after(writer: Writer) -> Lines:
        error = f"abs(got - expected - {d.rest!r})" if d.rest else "abs(got - expected)"
        beyond = ", with what float64 cannot hold of the expected value" if d.rest else ""
        named = [noted(f"expected = {expected!r}", f"{d.formula}, exactly")]
        wanted = "expected"
        if writer.compact:
            named, wanted, beyond = [], repr(expected), f"{beyond}; expected is {d.formula}, exactly"
            error = error.replace("expected", wanted if expected >= 0.0 else f"({wanted})")
        return [
            f"got = {writer.element(variable(writer, d.output), index)}",
            *named,
            printed("got", wanted),
            noted(f"assert {error} <= {bound!r}", f"the bound on the rounding errors of this element{beyond}"),
        ]

    return Assertion({d.step: "y"}, d.output, after)


def finite(d: Deviation) -> Assertion:
    """The element is finite."""
    return element(d, "a finite number", "np.isfinite(got)")


def not_finite(d: Deviation) -> Assertion:
    """The element is NaN, or that infinity; or, where nothing more is expected of it, not finite."""
    expected = str(d.evidence.expected)
    if expected == "nan":
        return element(d, "nan", "np.isnan(got)")
    if expected in ("inf", "-inf"):
        return element(d, expected, f"got == float({expected!r})".replace("'", '"'))
    return element(d, "nan or an infinity", "not np.isfinite(got)")


def not_negative(d: Deviation) -> Assertion:
    """The element is not negative."""
    return element(d, "at least 0", "got >= 0")


def zero(d: Deviation) -> Assertion:
    """The element is 0."""
    return element(d, "0.0", "got == 0.0")


def bounded(d: Deviation) -> Assertion:
    """The element is at most the bound in magnitude."""
    return element(d, f"a number of at most {d.bound!r} in magnitude", f"abs(got) <= {d.bound!r}")


def equals(d: Deviation) -> Assertion:
    """The element has the value, whether or not it is rounded to the precision of y.

    A statistic of a layer's first call is one that the layer starts from: it is read before the call.
    """
    value = d.evidence.expected
    if value is not None and math.isnan(float(value)):
        return element(d, "nan", "np.isnan(got)")
    given = {float(np.array(d.expected, dtype_of(d.built.config.dtype))): None} if d.output in LIKE_X else {}
    allowed = list({d.expected: None, **given})
    condition = f"got == {allowed[0]!r}" if len(allowed) == 1 else f"got in {allowed}"
    starts = d.output in STATE and d.case.built_at(d.step) == d.step
    return element(d, " or ".join(map(repr, allowed)), condition, before=starts)


def element(d: Deviation, expected: str, condition: str, before: bool = False) -> Assertion:
    """One element for which the condition on ``got`` holds; ``before``: as it is before the call."""
    index = brackets(d.element())

    def taken(writer: Writer) -> Lines:
        return [f"got = {writer.element(variable(writer, d.output), index)}"]

    def after(writer: Writer) -> Lines:
        line = f'print("got {d.output}[{index}] =", got, "expected {expected}")'
        return [*(() if before else taken(writer)), line, f"assert {condition}"]

    early: Written = taken if before else nothing
    return Assertion({d.step: "y"}, d.output, after, before=early)


def sums(d: Deviation) -> Assertion:
    """The mean of y over a channel, or the sum of a gradient, is a value, within its bound."""
    channel, config, bound = d.channel(), d.built.config, d.bound
    operation = "mean" if d.output == "y" else "sum"
    if d.evidence.expected is not None:
        expected = d.expected
    else:
        expected = float(d.built.arrays["beta"][channel]) if config.affine and d.output == "y" else 0.0

    def after(writer: Writer) -> Lines:
        total = f"{writer.wide(variable(writer, d.output))}.{operation}({config.reduce_axes})[{channel}]"
        return [
            noted(f"got = float({total})", f"the {operation} of {d.output} over channel {channel}"),
            printed("got", repr(expected)),
            noted(f"assert abs(got - {expected!r}) <= {bound!r}", "the bound on the rounding errors of all elements"),
        ]

    return Assertion({d.step: "y"}, d.output, after)


def differs(d: Deviation) -> Assertion:
    """A channel of y that is not constant in x is not beta all over."""
    channel, config = d.channel(), d.built.config
    beta = d.built.arrays["beta"][channel] if config.affine else np.float64(0.0)
    rounded = list({float(beta): None, float(beta.astype(dtype_of(config.dtype))): None})  # y may be as wide as beta

    def after(writer: Writer) -> Lines:
        return [
            f"got = {writer.wide(variable(writer, d.output))}.take({channel}, {config.channel_axis})",
            f'print("got", got, "in channel {channel}, expected anything but {rounded[0]!r}, beta, all over")',
            f"assert not np.isin(got, {rounded}).all()",
        ]

    return Assertion({d.step: "y"}, d.output, after)
