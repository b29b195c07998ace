"""The assertion on the mean error of a result over many channels: the script computes the exact values in float64."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, noted
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.repro.assertion import STATE, Assertion, Written, nothing, printed, variable
from bnspec.conformance.repro.deviation import Deviation
from bnspec.model.precision import PRECISIONS

#: The float64 results that a float64 script cannot judge.
WIDE = "float64"


def mean_error(d: Deviation) -> Assertion:
    """The mean over channels of the errors, or of the errors in magnitude, in u of the channels' values."""
    config, bound = d.built.config, d.bound
    if config.dtype == WIDE:
        raise NoScript("the errors of float64 results take more digits than float64 has")
    if d.call.call.mode == "training" and d.conventions is not None and d.conventions.normalising_correction:
        raise NoScript("the variance that normalises is corrected, which the script's formulas do not write")
    axes, u = config.reduce_axes, PRECISIONS[config.dtype].unit_roundoff

    def taken(writer: Writer) -> Lines:
        return [f"old = {parameter(writer, d.output, d)}.copy()"]

    def after(writer: Writer) -> Lines:
        along = f"{axes}" if d.output in ("y", "dx") else "()"
        error = f"({writer.wide(variable(writer, d.output))} - exact)"
        if d.evidence.relation == "no_gain":
            error = f"({error} * np.sign(exact))"
        return [
            *exact_lines(writer, d),
            noted(
                f"got = ({error}.mean({along}) / abs(exact).mean({along})).mean() / {u!r}",
                f"in u of {config.dtype}, over {config.channels} channels",
            ),
            printed("got", "0.0"),
            noted(
                f"assert abs(got) <= {bound!r}", "what a correct layer may have, and chance but for one in a million"
            ),
        ]

    early: Written = taken if d.output in STATE else nothing
    return Assertion({d.step: "y"}, d.output, after, before=early)


def parameter(writer: Writer, name: str, d: Deviation) -> str:
    """A parameter or statistic in float64, as it broadcasts against x, or against a result of one value per channel."""
    config = d.built.config
    against_x = d.output not in STATE and config.channel_axis != config.rank - 1
    text = writer.wide(writer.variable(name))
    return f"{text}.reshape({config.channel_shape})" if against_x else text


def exact_lines(writer: Writer, d: Deviation) -> Lines:
    """The statements that compute ``exact``."""
    config, output, call = d.built.config, d.output, d.call.call
    axes, kept = config.reduce_axes, f"{config.reduce_axes}, keepdims=True"
    inputs = [writer.wide(writer.given(n)) for n in d.call.inputs]
    if call.kind == "fit":
        return [f"exact = {inputs[0]}.{output}({axes})"]
    if output == "dbeta":
        return [f"exact = {inputs[1]}.sum({axes})"]
    if output in STATE:
        correction = d.conventions.running_correction if d.conventions is not None else 0
        new = f"{inputs[0]}.mean({axes})" if output == "running_mean" else f"{inputs[0]}.var({axes}, ddof={correction})"
        return [f"exact = {config.decay!r} * old + {1.0 - config.decay!r} * {new}"]
    both = output != "y"
    given = f"x64, dy64 = {inputs[0]}, {inputs[1]}" if both else f"x64 = {inputs[0]}"
    if call.mode == "inference":
        mean, var = (parameter(writer, n, d) for n in STATE)
    else:
        mean, var = f"x64.mean({kept})", f"x64.var({kept})"
    root = f"np.sqrt({var} + {config.epsilon!r})"
    gamma = parameter(writer, "gamma", d) if config.affine else "1.0"
    if output == "dx" and call.mode == "inference":
        return [f"exact = {gamma} / {root} * {inputs[1]}"]
    lines = [given, f"zhat = (x64 - {mean}) / {root}"]
    if output == "y":
        beta = parameter(writer, "beta", d) if config.affine else "0.0"
        return [*lines, f"exact = zhat * {gamma} + {beta}"]
    if output == "dgamma":
        return [*lines, f"exact = (dy64 * zhat).sum({axes})"]
    through = f"dy64 - dy64.mean({kept}) - zhat * (dy64 * zhat).mean({kept})"
    return [*lines, f"exact = {gamma} / {root} * ({through})"]
