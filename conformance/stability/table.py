"""The study on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bnspec.conformance.stability.fit import Crossing, Growth
from bnspec.conformance.stability.run import Study
from bnspec.conformance.stability.study import Row

RULE = (
    "class 0: p < 1/2 or flat; 1: like kappa; 2: p >= 3/2 from the start (E[x^2] - E[x]^2); 1*: it grows only from kappa = "
    "u^(-1/4) on, by effects of second order or with wider accumulators; ~: the interval allows another class.\n"
    "Error ~ c u kappa^p and ~ c u count^q; [5 %, 95 %] over seeds and channels, number of points. Half at: kappa where half "
    "of the digits are gone, relative error sqrt(u). Least: units of u at kappa 1."
)


def print_study(study: Study, console: Console) -> None:
    """A table for each form and dtype, then what is missing, then the rule."""
    groups = dict.fromkeys((r.key.form, r.key.dtype) for r in study.table)
    for form, dtype in groups:
        table = Table(title=f"{dtype}, {form}", title_justify="left", box=None, pad_edge=False)
        for head in ("output", "backend", "class", "p", "half at", "q", "least"):
            table.add_column(head, no_wrap=True)
        last = ""
        for row in (r for r in study.table if (r.key.form, r.key.dtype) == (form, dtype)):
            table.add_row(row.key.output if row.key.output != last else "", short(row.key.backend), *cells(row))
            last = row.key.output
        console.print(table)
        console.print()
    for r in study.reach:
        beyond = (
            ""
            if r.refused is None
            else f"; not from {r.refused:.3g} on, where rounding to {r.dtype} changes the data's own"
        )
        console.print(f"{r.dtype}: data of kappa up to {r.largest:.3g}{beyond}", highlight=False, soft_wrap=True)
    for backend, dtype, output, stored in promoted(study):
        console.print(
            f"{short(backend)}: {output} of {dtype} x comes back as {stored}, whose u counts", highlight=False
        )
    for m in study.missing:
        where = ", ".join(w for w in (m.dtype, m.form) if w)
        console.print(f"{m.backend}{f' ({where})' if where else ''}: {m.status}: {m.message}", highlight=False, markup=False, soft_wrap=True)  # fmt: skip
    console.print(f"\n{RULE}", highlight=False, markup=False, soft_wrap=True)


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
