"""A stability study on a terminal, and its numbers as words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from bnspec.reports.run.stability import Growth, NotMeasured, Reach, StabilityCurve, subject
from bnspec.terminal.console import line, show, table, verbatim

RULE = (
    "Class 0: p < 1/2 or flat; 1: like kappa; 2: p >= 3/2 from the start (E[x^2] - E[x]^2); 1*: growth starts only at kappa = "
    "u^(-1/4), from second-order effects or wider accumulators; ~: the interval allows another class.\n"
    "Error ~ c u kappa^p and ~ c u count^q; [5 %, 95 %] over seeds and channels, then the number of points. Half at: kappa at "
    "which half of the digits are lost, relative error sqrt(u). Least: error at kappa 1 in units of u."
)


def print_stability(
    curves: Sequence[StabilityCurve], missing: Sequence[NotMeasured], reaches: Sequence[Reach], console: Console
) -> None:
    """Print a table for each form and dtype, then what is missing, then the rule."""
    for form, dtype in dict.fromkeys((c.form, c.dtype) for c in curves):
        listed = table(console, "output", "backend", "class", "p", "half at", "q", "least", title=f"{dtype}, {form}")
        last = ""
        for curve in (c for c in curves if (c.form, c.dtype) == (form, dtype)):
            listed.add_row(curve.output if curve.output != last else "", short(subject(curve)), *cells(curve))
            last = curve.output
        show(console, listed)
        line(console)
    for reach in reaches:
        beyond = (
            f"; from {reach.refused:.3g} on, rounding to {reach.dtype} changes kappa"
            if reach.refused is not None
            else ""
        )
        verbatim(console, f"{reach.dtype}: data of kappa up to {reach.largest:.3g}{beyond}")
    for backend, dtype, output, stored in promoted(curves):
        verbatim(console, f"{short(backend)}: {output} of {dtype} x is returned as {stored}, whose u is used")
    for m in missing:
        where = ", ".join(w for w in (m.dtype, m.form) if w)
        verbatim(console, f"{subject(m)}{f' ({where})' if where else ''}: {m.status}: {m.message}")
    line(console)
    for paragraph in RULE.split("\n"):
        line(console, paragraph)


def promoted(curves: Sequence[StabilityCurve]) -> list[tuple[str, str, str, str]]:
    """(backend, dtype, output, dtype as it came back) of the outputs shaped like x that come back in another dtype."""
    elementwise = [c for c in curves if c.output.rpartition(".")[2] in ("y", "dx") and c.stored != c.dtype]
    return list(dict.fromkeys((subject(c), c.dtype, c.output, c.stored) for c in elementwise))


def short(backend: str) -> str:
    """The class alone of an adapter that is named as package.module:Class."""
    return backend.rpartition(":")[2] if not backend.rpartition(":")[2].isdigit() else backend


def cells(curve: StabilityCurve) -> tuple[str, str, str, str, str]:
    """The numbers as words: class, p, half of the digits, q, least error."""
    least = "nan" if curve.least_units is None else f"{float(curve.least_units):.2g}"
    return (class_text(curve), growth_text(curve.p), half_text(curve), growth_text(curve.q), least)


def class_text(curve: StabilityCurve) -> str:
    """The class, with a star where growth starts late and a tilde where the interval allows another; "?" where none is known."""
    if curve.stability_class is None:
        return "?"
    return f"{curve.stability_class}{'*' if curve.late else ''}{'' if curve.sure else '~'}"


def growth_text(growth: Growth | None) -> str:
    """The exponent with its interval and number of points, or why there is none."""
    if growth is None:
        return "-"
    if growth.exponent is None or growth.low is None or growth.high is None:
        return "too few points"
    if growth.kind == "flat":
        return "flat"
    low, high = (round(end, 1) + 0.0 for end in (growth.low, growth.high))  # + 0: no negative zeros
    return f"{growth.exponent:.2f} [{low:.1f}, {high:.1f}] {growth.points}"


def half_text(curve: StabilityCurve) -> str:
    """The kappa at which half of the digits are gone, or the last kappa, at which they are not."""
    if curve.kappa_half is not None:
        return _number(curve.kappa_half)
    return "-" if curve.beyond is None else f"> {_number(curve.beyond)}"


def _number(value: float) -> str:
    """Two digits: 42, 6,100, 2.9e7."""
    if not value < 1e5:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return f"{float(f'{value:.2g}'):,.{0 if value >= 9.5 else 1}f}"
