"""Looks at two results of one script: relations between calls, padding that should not matter, sums that should vanish."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.cases.relations import RELATIONS
from bnspec.conformance.repro.subject import Look, Shown, compared, decimal, variable
from bnspec.model.buffers import dtype_of

#: What the second call differs in, for people; {k} is the relation's number.
SAID = {
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
}


def follows(shown: Shown) -> Look:
    """One element, and the element of the first call that it follows from, against both bounds."""
    i, j = shown.step, shown.other()
    name, _, number = str(shown.call(i).option("relation", "")).partition(":")
    source, factor = _origin(shown, j, name, float(number or 1.0))

    def between(writer: Writer) -> list[str]:
        y = variable(writer, shown.output)
        return [f"first = {writer.element(y, source)}"]

    def lines(writer: Writer) -> list[str]:
        got = writer.element(variable(writer, shown.output), shown.index)
        expected = "first" if factor == 1.0 else f"first * {factor!r}"
        bound = decimal(shown.evidence["bound"])
        return [
            f"bound = {bound}  # on the rounding errors of both: {shown.finding.clause}",
            f"got = {got}  # {shown.output} {SAID[name].format(k=number)}",
            f"expected = {expected}",
            *compared(bound),
        ]

    return Look({j: "y", i: "y"}, shown.output, lines, between=between)


def _origin(shown: Shown, j: int, name: str, k: float) -> tuple[str, float]:
    """The element of the first result that the shown one follows from, and the factor between them."""
    if name == "units":
        return shown.index, float(np.sign(k))
    if name not in RELATIONS or shown.output not in RELATIONS[name].follows:
        raise NoScript(f"the finding is of the relation {name!r}, which says nothing of {shown.output}")
    config = shown.case.overridden(shown.case.overrides(j)).config
    shape = shown.case.arrays[shown.call(j).inputs[0]].shape if shown.output in ("y", "dx") else (config.channels,)
    index, rule = tuple(shown.evidence["index"]), RELATIONS[name].follows[shown.output]
    factor = float(rule(np.ones(shape), config, k)[index])
    if factor == 0.0:  # whatever it was
        return shown.index, 0.0
    place = rule(np.arange(float(np.prod(shape))).reshape(shape), config, k)[index] / factor
    return ", ".join(str(int(n)) for n in np.unravel_index(round(float(place)), shape)), factor


def padding_is_inert(shown: Shown) -> Look:
    """Every bit of y where the mask keeps, or of a statistic, with other values in the padding."""
    i, j, output = shown.step, shown.other(), shown.output

    def kept(writer: Writer) -> str:
        result = variable(writer, output)
        if output != "y":
            return f"{writer.host(result)}.copy()"
        mask = writer.host(writer.given(shown.call(i).inputs[-1]))
        return f"{writer.host(result)}[np.broadcast_to({mask}, {writer.shape(result)})]"

    def lines(writer: Writer) -> list[str]:
        what = "y where the mask keeps" if output == "y" else output
        return [
            f"second = {kept(writer)}  # {what}, with other padding",
            'print("got", second, "expected the bits of", first)',
            "sys.exit(second.tobytes() != first.tobytes())",
        ]

    return Look({j: "y", i: "y"}, output, lines, between=lambda writer: [f"first = {kept(writer)}"])


def sum_over_channel(shown: Shown) -> Look:
    """The mean of y over a channel, which is beta, or the sum of dx, which is 0."""
    channel, config, y = int(shown.evidence["index"][0]), shown.seen.config, shown.output == "y"
    beta = float(shown.seen.arrays["beta"][channel]) if config.affine and y else 0.0
    operation = "mean" if y else "sum"

    def lines(writer: Writer) -> list[str]:
        total = f"{writer.wide(variable(writer, shown.output))}.{operation}({config.reduce_axes})[{channel}]"
        bound = decimal(shown.evidence["bound"])
        return [
            f"bound = {bound}  # on the rounding errors of all elements: {shown.finding.clause}",
            f"got, expected = float({total}), {beta!r}  # {operation} of {shown.output} over channel {channel}",
            *compared(bound),
        ]

    return Look({shown.step: "y"}, shown.output, lines)


def not_beta(shown: Shown) -> Look:
    """A channel that is not constant, which is not beta all over."""
    channel, config = int(shown.evidence["index"][0]), shown.seen.config
    beta = shown.seen.arrays["beta"][channel] if config.affine else np.float64(0.0)
    rounded = list({float(beta): None, float(beta.astype(dtype_of(config.dtype))): None})  # y may be as wide as beta

    def lines(writer: Writer) -> list[str]:
        return [
            f"got = {writer.wide('y')}.take({channel}, {config.channel_axis})",
            f'print("got", got, "in channel {channel}, expected anything but beta, {rounded[0]!r}, all over")',
            f"sys.exit(bool(np.isin(got, {rounded}).all()))",
        ]

    return Look({shown.step: "y"}, "y", lines)
