"""A plot as SVG: a frame with two axes, series of marks, reference lines. It knows nothing of benchmarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup, escape

from bnspec.reports.plots.axes import Axis
from bnspec.reports.plots.palette import Style

#: Outer size and the room for the axes' words, in the picture's own units.
WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 10, 42
#: The ring around a mark that asks for attention.
RING = "M-6.5 0a6.5 6.5 0 1 0 13 0a6.5 6.5 0 1 0-13 0z"


@dataclasses.dataclass(frozen=True)
class Point:
    """A mark, with the words that appear when it is pointed at; ``alert`` puts a ring around it."""

    x: float
    y: float
    words: str = ""
    alert: bool = False


@dataclasses.dataclass(frozen=True)
class Series:
    """Marks in one style.

    Attributes:
        name: for the words of the line.
        points: the marks; joined: what the line goes through, None for no line.
        kind: a class besides: "" or "faint", or "bare" for a line without marks.
    """

    name: str
    style: Style
    points: Sequence[Point]
    joined: Sequence[tuple[float, float]] | None = None
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Guide:
    """A reference line of a class of the style sheet, with its name."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]
    stepped: bool = False


@dataclasses.dataclass(frozen=True)
class Plot:
    """What is drawn; ``words`` say it to who does not see it; levels are named horizontal lines."""

    words: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    guides: Sequence[Guide] = ()
    levels: Sequence[tuple[float, str]] = ()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a value in the picture."""
        return (
            round(LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - self.y.share(y) * (HEIGHT - TOP - BOTTOM), 1),
        )


def draw(plot: Plot) -> Markup:
    """The plot as one picture."""
    parts = [_frame(plot)]
    parts += [_guide(plot, guide) for guide in plot.guides]
    parts += [_series(plot, series) for series in plot.series]
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.words)}">{"".join(parts)}</svg>'
    )


def _guide(plot: Plot, guide: Guide) -> str:
    path = _steps(plot, guide.points) if guide.stepped else _path(plot, guide.points)
    return f'<path class="guide {guide.kind}" d="{path}"><title>{escape(guide.name)}</title></path>' if path else ""


def _series(plot: Plot, series: Series) -> str:
    parts = []
    if series.joined:
        stepped = series.kind == "bare"
        path = _steps(plot, series.joined) if stepped else _path(plot, series.joined)
        parts.append(f'<path class="line" d="{path}"><title>{escape(series.name)}</title></path>')
    for point in series.points:
        x, y = plot.at(point.x, point.y)
        ring = f'<path class="ring" d="{RING}"/>' if point.alert else ""
        mark = f'<path class="mark" d="{series.style.shape}"/>'
        parts.append(f'<g transform="translate({x} {y})"><title>{escape(point.words)}</title>{ring}{mark}</g>')
    return f'<g class="{f"{series.style.classes} {series.kind}".strip()}">{"".join(parts)}</g>'


def _path(plot: Plot, points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in (plot.at(*p) for p in points)) if points else ""


def _steps(plot: Plot, points: Sequence[tuple[float, float]]) -> str:
    """Across first, then up or down."""
    if not points:
        return ""
    (x, y), *rest = (plot.at(*p) for p in points)
    return f"M{x:g} {y:g}" + "".join(f"H{x:g}V{y:g}" for x, y in rest)


def _frame(plot: Plot) -> str:
    """Frame, round values, names of the axes, levels."""
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    lines, texts = [], []
    for value in plot.x.ticks():
        x, _ = plot.at(value, plot.y.low)
        lines.append(f"M{x} {top}V{bottom}")
        texts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{plot.x.text(value)}</text>')
    for value in plot.y.ticks():
        _, y = plot.at(plot.x.low, value)
        lines.append(f"M{left} {y}H{right}")
        texts.append(f'<text x="{left - 6}" y="{y + 3.5:g}" text-anchor="end">{plot.y.text(value)}</text>')
    for value, name in plot.levels:
        if plot.y.holds(value):
            _, y = plot.at(plot.x.low, value)
            near = y + 12 if y < top + 16 else y - 4
            texts.append(f'<path class="level" d="M{left} {y}H{right}"/>')
            texts.append(f'<text x="{right - 5}" y="{near:g}" text-anchor="end">{escape(name)}</text>')
    across, down = (left + right) / 2, (top + bottom) / 2
    texts.append(
        f'<text class="axis" x="{across:g}" y="{HEIGHT - 8}" text-anchor="middle">{escape(plot.x.label)}</text>'
    )
    texts.append(
        f'<text class="axis" transform="translate(11 {down:g}) rotate(-90)" text-anchor="middle">{escape(plot.y.label)}</text>'
    )
    frame = f'<rect class="frame" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
    return f'<path class="grid" d="{"".join(lines)}"/>{frame}{"".join(texts)}'
