"""Looks at laws that hold or do not: bits, shapes, finiteness, memory, exceptions."""

from __future__ import annotations

import re
from collections.abc import Callable

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.repro.subject import Look, Shown, decimal, variable
from bnspec.model.buffers import dtype_of
from bnspec.model.call import INFERENCE


def wrong_shape(shown: Shown) -> Look:
    """The shape of a result."""
    inputs = shown.case.arrays[shown.call(shown.step).inputs[0]].shape
    wanted = inputs if shown.output in ("y", "dx", "x") else (shown.case.config.channels,)
    return _compared(shown, lambda writer, result: writer.shape(result), repr(wanted))


def dtypes(shown: Shown) -> Look:
    """The dtype of a result."""
    return _compared(shown, lambda writer, result: writer.dtype(result), repr(str(shown.evidence["expected"])))


def _compared(shown: Shown, aspect: Callable[[Writer, str], str], expected: str) -> Look:
    if "output" not in shown.evidence:
        raise NoScript("the finding does not say which result is wrong")

    def lines(writer: Writer) -> list[str]:
        return [
            f"got, expected = {aspect(writer, variable(writer, shown.output))}, {expected}  # of {shown.output}",
            'print("got", got, "expected", expected)',
            "sys.exit(got != expected)",
        ]

    return Look({shown.step: "y"}, shown.output, lines)


def finite(shown: Shown) -> Look:
    """One element that should be finite."""
    return element_that(shown, "a finite number", "not np.isfinite(got)")


def nan_shown(shown: Shown) -> Look:
    """One element that should be NaN."""
    return element_that(shown, "nan", "not np.isnan(got)")


def not_negative(shown: Shown) -> Look:
    """One element that should not be negative."""
    return element_that(shown, "at least 0", "got < 0")


def small(shown: Shown) -> Look:
    """A constant feature: finite, and at most 1 at the value that it was fitted on."""
    return element_that(shown, "a number between -1 and 1", "not abs(got) <= 1")


def zero_gamma(shown: Shown) -> Look:
    """One element that should be beta, or a gradient of 0, exactly."""
    if shown.output != "y":
        return element_that(shown, "0.0", "got != 0.0")
    config = shown.case.config
    beta = shown.case.arrays["beta"][shown.evidence["index"][config.channel_axis]]
    rounded = {float(beta): None, float(beta.astype(dtype_of(config.dtype))): None}  # y may be as wide as beta
    return element_that(shown, " or ".join(map(repr, rounded)), f"got not in {[*rounded]}")


def zero(shown: Shown) -> Look:
    """One element that should be 0."""
    return element_that(shown, "0.0", "got != 0.0")


def element_that(shown: Shown, expected: str, wrong: str) -> Look:
    """One element of which ``wrong`` must not hold."""
    if "index" not in shown.evidence:
        raise NoScript("the finding does not say which element is wrong")

    def lines(writer: Writer) -> list[str]:
        return [
            f"got = {writer.element(variable(writer, shown.output), shown.index)}",
            f'print("got {shown.output}[{shown.index}]", got, "expected {expected}")',
            f"sys.exit(bool({wrong}))",
        ]

    return Look({shown.step: "y"}, shown.output, lines)


def same_bits(first: str, second: str, part: bool = False) -> Callable[[Shown], Look]:
    """Two results that should agree in every bit; ``part``: the second is of rows of the first's batch."""

    def form(shown: Shown) -> Look:
        i, output, rows = shown.step, shown.output, ""
        if part:
            whole, _, cut = shown.call(i).inputs[0].partition("[")
            rows = "[" + cut
            j = next(k for k, s in enumerate(shown.case.steps[:i]) if (s.call, s.inputs) == (INFERENCE, (whole,)))
        else:
            j = shown.other()
        bare = output in ("y", "x")  # others have one name: the second call's take the place of the first's

        def between(writer: Writer) -> list[str]:
            return [] if bare else [f"{first} = {writer.host(writer.variable(output))}.copy()"]

        def lines(writer: Writer) -> list[str]:
            named = [] if bare else [f"{second} = {writer.host(writer.variable(output))}"]
            got, expected = second, first + rows
            a, b = (writer.host(n) if bare else n for n in (got, expected))
            if bare and "index" in shown.evidence:
                got, expected = (writer.element(n, shown.index) for n in (got, expected))
            return [
                *named,
                f'print("got", {got}, "{second}, expected the bits of", {expected}, "{first}")',
                f"sys.exit({a}.tobytes() != {b}.tobytes())",
            ]

        return Look({j: first, i: second}, output, lines, between=between)

    return form


def same_x(shown: Shown) -> Look:
    """One element of y from two states, against twice the bound."""
    i, j, bound = shown.step, shown.other(), decimal(shown.evidence["bound"])

    def lines(writer: Writer) -> list[str]:
        a, b = (writer.element(n, shown.index) for n in ("y", "other"))
        return [
            f"bound = {bound}  # twice that on the rounding errors of this element: {shown.finding.clause}",
            f"got, expected = {a}, {b}  # the same x, another state",
            'print("got", got, "expected", expected, "error/bound", abs(got - expected) / bound)',
            "sys.exit(not abs(got - expected) <= bound)",
        ]

    return Look({j: "other", i: "y"}, "state", lines)


def keeps_state(shown: Shown) -> Look:
    """Running statistics, before and after."""

    def before(writer: Writer) -> list[str]:
        return [f"before = {writer.host(writer.variable(shown.output))}.copy()"]

    def lines(writer: Writer) -> list[str]:
        return [
            f"after = {writer.host(writer.variable(shown.output))}",
            f'print("got {shown.output}", after, "expected", before)',
            "sys.exit(after.tobytes() != before.tobytes())",
        ]

    return Look({shown.step: "y"}, shown.output, lines, before)


def not_written(shown: Shown) -> Look:
    """An argument or parameter, before and after."""
    found = re.search(r"wrote into (\w+)", shown.finding.message)
    if not found:
        raise NoScript("the finding does not say what was written to")
    name = found.group(1)

    def before(writer: Writer) -> list[str]:
        return [f"before = {writer.host(variable(writer, name, name))}.copy()"]

    def lines(writer: Writer) -> list[str]:
        return [
            f"after = {writer.host(variable(writer, name, name))}",
            f'print("got {name}", after, "expected", before)',
            "sys.exit(after.tobytes() != before.tobytes())",
        ]

    return Look({shown.step: "y"}, "state", lines, before)


def results_are_new(shown: Shown) -> Look:
    """Whether a result shares memory with an argument or the state."""
    found = re.search(r"(\w+) shares memory with (\w+)", shown.finding.message)
    if not found:
        raise NoScript("the finding does not say what shares memory")
    result, other = found.groups()

    def lines(writer: Writer) -> list[str]:
        a = writer.host(variable(writer, result))
        b = writer.host(other if other in shown.case.steps[shown.step].inputs else writer.variable(other))
        return [
            f"got = np.shares_memory({a}, {b})",
            f'print("got", got, "that {result} shares memory with {other}, expected False")',
            "sys.exit(got)",
        ]

    return Look({shown.step: "y"}, "state", lines)


#: An exception in one line.
TOLD = 'type(error).__name__, " ".join(str(error).split())[:200]'


def exception_of(message: str) -> str:
    """The class of the exception that a message tells of, or nothing."""
    found = re.match(r"raised(?:, but the conventions declares '\w+':)? (\w+):", message)
    return found.group(1) if found else ""


def raised(shown: Shown) -> Look:
    """An exception where none should come."""
    name = exception_of(shown.finding.message)

    def lines(writer: Writer) -> list[str]:
        return [
            "except Exception as error:",
            f'    if type(error).__name__ != "{name}": raise',
            f'    print("got", {TOLD}, "expected no exception")',
            "    sys.exit(1)",
            'print("got no exception")',
        ]

    return Look({shown.step: "y"}, "y", lines, raises=name)


def count_one(shown: Shown) -> Look:
    """A batch of one value per channel: an exception that does not come, or finite statistics."""
    if not shown.finding.message.startswith("computed"):
        return finite(shown)

    def lines(writer: Writer) -> list[str]:
        return [
            "except Exception as error:",
            f'    print("got", {TOLD})',
            "    sys.exit(0)",
            'print("got", y, "expected an exception: a batch of one value per channel has no variance")',
            "sys.exit(1)",
        ]

    return Look({shown.step: "y"}, "y", lines, raises="*")


def completes(shown: Shown) -> Look:
    """A process that dies, or hangs: reaching the end is the good end."""
    return Look(dict.fromkeys(range(len(shown.case.steps)), "y"), "state", lambda writer: ['print("got to the end")'])
