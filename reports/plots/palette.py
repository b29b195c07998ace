"""Styles: a backend has one colour and one marker in every picture of a page; its conditions differ by dash and filling.

The colours are Okabe and Ito's without yellow and black, which do not show on white and on dark paper, and with grey; the
style sheet has them as ``k0`` to ``k6``. Seven colours and six markers have no common divisor, so that 42 backends differ.
Source: M. Okabe, K. Ito, Color Universal Design, 2008.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from bnspec.reports.summary.cells import Cell

COLOURS, VARIANTS = 7, 4
#: Circle, square, triangle, diamond, triangle on its tip, cross; all about as heavy.
SHAPES = (
    "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z", "M-2.9-2.9h5.8v5.8h-5.8z", "M0-3.9l3.8 6.5h-7.6z",
    "M0-4.2l4.2 4.2l-4.2 4.2l-4.2-4.2z", "M0 3.9l3.8-6.5h-7.6z",
    "M-1.4-4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Style:
    """How a contender is drawn: the number of its backend, and of its device and conditions among those of the backend."""

    backend: int
    variant: int

    @property
    def classes(self) -> str:
        """The classes of the style sheet."""
        return f"k{self.backend % COLOURS} v{self.variant % VARIANTS}"

    @property
    def shape(self) -> str:
        """The path of the marker around the origin."""
        return SHAPES[self.backend % len(SHAPES)]


Palette = dict[str, Style]


def numbers_of(backends: Iterable[str]) -> dict[str, int]:
    """A number for each backend of a page, which gives it its colour and marker in every picture there."""
    return {backend: number for number, backend in enumerate(sorted(set(backends)))}


def palette(cells: Iterable[Cell], numbers: Mapping[str, int] | None = None) -> Palette:
    """Styles by contender.

    Args:
        numbers: of the page's backends; by default those of the cells.
    """
    backends: dict[str, set[str]] = {}
    for cell in cells:
        backends.setdefault(cell.first.backend, set()).add(cell.contender)
    numbered = numbers_of(backends) if numbers is None else numbers
    return {
        contender: Style(numbered[backend], variant)
        for backend in sorted(backends)
        for variant, contender in enumerate(sorted(backends[backend]))
    }


def key(style: Style) -> Markup:
    """A short piece of a line with its marker, for a legend."""
    return Markup(
        f'<svg class="key {style.classes}" viewBox="0 0 28 12" aria-hidden="true"><path class="line" d="M1 6h26"/>'
        f'<path class="mark" transform="translate(14 6)" d="{style.shape}"/></svg>'
    )


def line_key(kind: str) -> Markup:
    """A short piece of a reference line of this class."""
    return Markup(
        f'<svg class="key" viewBox="0 0 28 12" aria-hidden="true"><path class="guide {kind}" d="M1 6h26"/></svg>'
    )


def legend(entries: Sequence[tuple[Markup, str]]) -> Markup:
    """A list of keys with their names."""
    items = "".join(f"<li>{mark} <span>{escape(name)}</span></li>" for mark, name in entries)
    return Markup(f'<ul class="keys">{items}</ul>') if items else Markup("")
