"""Looks at what happens to a layer between its calls, and at calls that should be refused: state before and after."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.checks.layer_operations import MOVING
from bnspec.conformance.repro.law_assertions import TOLD, element_that
from bnspec.conformance.repro.subject import Look, Shown, compared, decimal, within_bound
from bnspec.model.call import CLONE, SWAP
from bnspec.oracle.oracle import Oracle

STATE = ("running_mean", "running_var")


def snapshot(writer: Writer, names: tuple[str, ...]) -> str:
    """The statistics as an expression that keeps its value."""
    if len(names) == 1:
        return f"{writer.host(writer.variable(names[0]))}.copy()"
    return f"np.stack([{', '.join(writer.host(writer.variable(n)) for n in names)}])"


def changed(shown: Shown) -> Look:
    """Statistics that changed in a call, or between two calls, or while another layer was used: the bits, before and after."""
    i, names = shown.step, (shown.output,) if "output" in shown.evidence else STATE
    wanted = names[0] if len(names) == 1 else "state"

    def taken(name: str) -> Callable[[Writer], list[str]]:
        return lambda writer: [f"{name} = {snapshot(writer, names)}"]

    def lines(writer: Writer) -> list[str]:
        now = [] if "between two calls" in shown.finding.message else taken("after")(writer)
        return [
            *now,
            f'print("got {" and ".join(names)}", after, "expected", before)',
            "sys.exit(after.tobytes() != before.tobytes())",
        ]

    if "between two calls" in shown.finding.message:
        return Look({i - 1: "y", i: "y"}, wanted, lines, taken("after"), taken("before"))
    if "other layer" in shown.finding.message:
        return Look({_left(shown): "y", i: "y"}, wanted, lines, between=taken("before"))
    return Look({i: "y"}, wanted, lines, taken("before"))


def _left(shown: Shown) -> int:
    """The last step on the layer that a swap takes up again."""
    start, calls = shown.case.built_at(shown.step), [s.call for s in shown.case.steps]
    return max(j - 1 for j in range(start + 1, shown.step) if calls[j] in (CLONE, SWAP))


def left_alone(shown: Shown) -> Look:
    """Statistics that a refused call changed."""
    plain = changed(shown)

    def lines(writer: Writer) -> list[str]:
        return ["except Exception as error:", "    print(type(error).__name__)", *plain.after(writer)]

    return Look(plain.names, plain.wanted, lines, plain.before, raises="*")


def initial(shown: Shown) -> Look:
    """The statistics that a new layer starts from, or y by them."""
    if "bound" in shown.evidence:
        return within_bound(shown)
    wanted = element_that(shown, str(shown.evidence["expected"]), f"got != {shown.evidence['expected']}")
    if shown.call(shown.step).call.kind == "reset":
        return wanted

    def before(writer: Writer) -> list[str]:
        return wanted.after(writer)[:1]

    return Look(wanted.names, wanted.wanted, lambda writer: wanted.after(writer)[1:], before)


def computed(shown: Shown) -> Look:
    """A malformed call that computes a result, where an exception is owed."""
    step = shown.call(shown.step)
    given = [*(n for n in step.inputs if n not in ("x", "dy")), *(k for k, v in step.options if v == "more")]

    def lines(writer: Writer) -> list[str]:
        return [
            "except Exception as error:",
            f'    print("got", {TOLD})',
            "    sys.exit(0)",
            f'print("got a result, expected an exception: the shape of {" and ".join(given)} is wrong")',
            "sys.exit(1)",
        ]

    return Look({shown.step: "y"}, "state", lines, raises="*")


def fitted_on_nothing(shown: Shown) -> Look:
    """A fit without rows that has statistics."""

    def lines(writer: Writer) -> list[str]:
        mean, var = (writer.host(writer.variable(n)) for n in ("mean", "var"))
        return [
            "except Exception as error:",
            f'    print("got", {TOLD})',
            "    sys.exit(0)",
            f'print("got mean", {mean}, "var", {var}, "of nothing, expected an exception, or nothing finite")',
            f"sys.exit(bool(np.isfinite({mean}).all() and np.isfinite({var}).all()))",
        ]

    return Look({shown.step: "y"}, "state", lines, raises="*")


def unrolled(shown: Shown) -> Look:
    """A statistic after several steps, from that before the first, by the exact statistics of every batch."""
    channel, name, conventions = int(shown.evidence["index"][0]), shown.output, shown.conventions
    if conventions is None:
        raise NoScript("the backend's conventions cannot be read")
    case, i = shown.case, shown.step
    overrides = case.overrides(i)
    whole, seen = Oracle(case), case.overridden(overrides)
    oracle = whole.overridden(overrides)  # refers to the whole case's weakly
    moving = [j for j in range(case.built_at(i), i + 1) if case.steps[j].call in MOVING]
    before = {n: seen.arrays[n] for n in STATE}
    if case.steps[case.built_at(i)].option("initial"):
        starts = {"running_mean": conventions.initial_mean, "running_var": conventions.initial_var}
        before = {n: np.full_like(a, starts[n]) for n, a in before.items()}
    start = quad(before[name].astype(np.float64))
    exact = start
    for j in moving:  # the new value is linear in the old one, with the weight decay
        exact = oracle.expect(case.steps[j], before, conventions)[name].value + seen.config.decay * (exact - start)
    expected, bound = repr(float(double(exact)[channel])), decimal(shown.evidence["bound"])

    def lines(writer: Writer) -> list[str]:
        return [
            f"expected = {expected}  # {name} after {len(moving)} exact steps",
            f"bound = {bound}  # on the rounding errors of all steps: {shown.finding.clause}",
            f"got = {writer.element(writer.variable(name), str(channel))}",
            *compared(bound),
        ]

    return Look({i: "y"}, name, lines)
