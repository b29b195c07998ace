"""The study on a terminal."""

from __future__ import annotations

from rich.console import Console

from bnspec.conformance.stability.fit import Crossing, Growth
from bnspec.conformance.stability.run import Study
from bnspec.conformance.stability.study import Row
from bnspec.terminal.console import line, show, table, verbatim

RULE = (
    "Class 0: p < 1/2 or flat; 1: like kappa; 2: p >= 3/2 from the start (E[x^2] - E[x]^2); 1*: growth starts only at kappa = "
    "u^(-1/4), from second-order effects or wider accumulators; ~: the interval allows another class.\n"
    "Error ~ c u kappa^p and ~ c u count^q; [5 %, 95 %] over seeds and channels, then the number of points. Half at: kappa at "
    "which half of the digits are lost, relative error sqrt(u). Least: error at kappa 1 in units of u."
)


def print_study(study: Study, console: Console) -> None:
    """Print a table for each form and dtype, then what is missing, then the rule."""
    groups = dict.fromkeys((r.key.form, r.key.dtype) for r in study.table)
    for form, dtype in groups:
        listed = table(console, "output", "backend", "class", "p", "half at", "q", "least", title=f"{dtype}, {form}")
        last = ""
        for row in (r for r in study.table if (r.key.form, r.key.dtype) == (form, dtype)):
            listed.add_row(row.key.output if row.key.output != last else "", short(row.key.backend), *cells(row))
            last = row.key.output
        show(console, listed)
        line(console)
    for r in study.reach:
        beyond = f"; from {r.refused:.3g} on, rounding to {r.dtype} changes kappa" if r.refused is not None else ""
        verbatim(console, f"{r.dtype}: data of kappa up to {r.largest:.3g}{beyond}")
    for backend, dtype, output, stored in promoted(study):
        verbatim(console, f"{short(backend)}: {output} of {dtype} x is returned as {stored}, whose u is used")
    for m in study.missing:
        where = ", ".join(w for w in (m.dtype, m.form) if w)
        verbatim(console, f"{m.backend}{f' ({where})' if where else ''}: {m.status}: {m.message}")
    line(console)
    for paragraph in RULE.split("\n"):
        line(console, paragraph)


def promoted(study: Study) -> list[tuple[str, str, str, str]]:
    """(backend, dtype, output, dtype as it came back) of the outputs shaped like x that come back in another dtype."""
    elementwise = [r for r in study.table if r.key.output.rpartition(".")[2] in ("y", "dx") and r.stored != r.key.dtype]
    return list(dict.fromkeys((r.key.backend, r.key.dtype, r.key.output, r.stored) for r in elementwise))


def short(backend: str) -> str:
    """The class alone of an adapter that is named as package.module:Class."""
    return backend.rpartition(":")[2] if not backend.rpartition(":")[2].isdigit() else backend


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """The row's numbers as words: class, p, half of the digits, q, least error."""
    return (class_text(row), growth_text(row.p), half_text(row.half), growth_text(row.q), f"{row.least:.2g}")


def class_text(row: Row) -> str:
    """The class, with a star where growth starts late and a tilde where the interval allows another; "?" where none is known."""
    if row.stability is None:
        return "?"
    return f"{row.stability}{'*' if row.late else ''}{'' if row.sure else '~'}"


def growth_text(growth: Growth | None) -> str:
    """The exponent with its interval and number of points, or why there is none."""
    if growth is None:
        return "-"
    if growth.kind != "fitted":
        return "flat" if growth.kind == "flat" else "too few points"
    low, high = (round(end, 1) + 0.0 for end in (growth.low, growth.high))  # + 0: no negative zeros
    return f"{growth.exponent:.2f} [{low:.1f}, {high:.1f}] {growth.points}"


def half_text(half: Crossing) -> str:
    """Where half of the digits are gone, or how far it was looked."""
    return _number(half.at) if half.at is not None else f"> {_number(half.beyond)}"


def _number(value: float) -> str:
    """Two digits: 42, 6,100, 2.9e7."""
    if not value < 1e5:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return f"{float(f'{value:.2g}'):,.{0 if value >= 9.5 else 1}f}"
