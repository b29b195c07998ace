"""Charts of curves on log-log axes as SVG: several lines with a marker each, thin reference lines. Data in, markup out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from markupsafe import Markup, escape

Points = Sequence[tuple[float, float]]

#: Outer size and the room for the axes' words, in the picture's own units.
WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 40
#: Colours of which the style sheet has one each (``c0`` to ``c7``), and shapes of markers.
COLOURS = 8
SHAPES = ("M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", "M-2.7-2.7h5.4v5.4h-5.4z", "M0-3.6l3.5 6h-7z", "M0 3.6l3.5-6h-7z", "M0-3.8l3.8 3.8l-3.8 3.8l-3.8-3.8z")  # fmt: skip
#: What is drawn at least, in units.
LEAST = 1e-2


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve with the number that gives it its colour and marker."""

    name: str
    style: int
    points: Points


@dataclasses.dataclass(frozen=True)
class Panel:
    """A chart.

    Attributes:
        title, x_label: words.
        lines: the curves; bounds: thin reference curves with their names.
        unit: power of two of the u that the errors are in units of.
        half, lost: the levels at which half of the digits, and all of them, are gone; drawn where they lie inside.
    """

    title: str
    x_label: str
    lines: Sequence[Line]
    bounds: Sequence[tuple[str, Points]]
    half: float
    lost: float
    unit: int


@dataclasses.dataclass(frozen=True)
class Axes:
    """Ranges in powers of ten, and where they lie in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point; what lies outside is moved to the edge."""
        across = (math.log10(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (math.log10(max(y, 10.0 ** self.y[0])) - self.y[0]) / (self.y[1] - self.y[0])
        up = min(max(up, 0.0), 1.0)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1
        )


def axes(panel: Panel) -> Axes:
    """The ranges on which the curves, and of the bounds what lies near them, fit."""
    places = [p for line in panel.lines for p in line.points]
    xs = [x for x, _ in places] or [1.0, 10.0]
    ys = [max(y, LEAST) for _, y in places] or [1.0]
    low, high = math.log10(min(xs)), math.log10(max(xs))
    top = min(max(ys), 100.0 * panel.lost)
    near = [max(min(b, 30.0 * top), LEAST) for _, points in panel.bounds for _, b in points]
    top = max(top, *near, 10.0) if near else max(top, 10.0)
    bottom = math.floor(math.log10(min(*ys, 1.0)))
    return Axes((low - 0.1, high + 0.1), (bottom, max(math.ceil(math.log10(top)), bottom + 2)))


def coinciding(panel: Panel) -> list[str]:
    """Names of curves that lie on each other at every point, as "a = b": one hides the other."""
    groups: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for line in panel.lines:
        groups.setdefault(tuple(line.points), []).append(line.name)
    return [" = ".join(names) for names in groups.values() if len(names) > 1]


def chart(panel: Panel) -> Markup:
    """The panel as one picture."""
    on = axes(panel)
    parts = [_grid(panel, on)]
    for name, points in panel.bounds:
        # beyond the top a bound says nothing that could be seen: it ends where it leaves the picture
        inside = [p for p in points if p[1] <= 10.0 ** on.y[1]]
        kind = "good" if name.startswith("good") else "permissive"
        if len(inside) > 1:
            parts.append(f'<path class="bound {kind}" d="{_path(inside, on)}"><title>{escape(name)}</title></path>')
    for line in panel.lines:
        if line.points:
            marks = "".join(
                f'<path transform="translate({x} {y})" d="{SHAPES[line.style % len(SHAPES)]}"/>'
                for x, y in (on.at(*p) for p in line.points)
            )
            parts.append(
                f'<g class="curve c{line.style % COLOURS}"><title>{escape(line.name)}</title>'
                f'<path class="line" d="{_path(line.points, on)}"/><g class="marks">{marks}</g></g>'
            )
    words = f"{panel.title}: error in units of u, logarithmic axes; curves of {', '.join(n.name for n in panel.lines)}"
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


def key(style: int) -> Markup:
    """A short piece of a curve, for the legend."""
    mark = SHAPES[style % len(SHAPES)]
    return Markup(
        f'<svg class="key c{style % COLOURS}" viewBox="0 0 28 12" aria-hidden="true"><path class="line" d="M1 6h26"/>'
        f'<path class="mark" transform="translate(14 6)" d="{mark}"/></svg>'
    )


def _path(points: Points, on: Axes) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in (on.at(*p) for p in points))


def _grid(panel: Panel, on: Axes) -> str:
    """Frame, powers of ten, and the two levels."""
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    parts, lines = [], []
    step = 1 if on.x[1] - on.x[0] <= 8.5 else 2
    for e in range(math.ceil(on.x[0]), math.floor(on.x[1]) + 1, step):
        x, _ = on.at(10.0**e, 1.0)
        lines.append(f"M{x} {top}V{bottom}")
        parts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{_power(e)}</text>')
    step = max(1, math.ceil((on.y[1] - on.y[0]) / 7))
    for e in range(int(on.y[0]), int(on.y[1]) + 1):
        if e % step == 0:
            _, y = on.at(1.0 if on.x[0] <= 0 <= on.x[1] else 10.0 ** on.x[0], 10.0**e)
            lines.append(f"M{left} {y}H{right}")
            parts.append(f'<text x="{left - 6}" y="{y + 3.5}" text-anchor="end">{_power(e)}</text>')
    for level, name in ((panel.half, "half of the digits gone"), (panel.lost, "all digits gone")):
        if on.y[0] < math.log10(level) < on.y[1]:
            _, y = on.at(10.0 ** on.x[0], level)
            parts.append(f'<path class="level" d="M{left} {y}H{right}"/>')
            place = f'x="{right - 5}" text-anchor="end"' if level == panel.half else f'x="{left + 5}"'
            parts.append(f'<text class="name" {place} y="{y + 11 if level == panel.half else y - 4}">{name}</text>')
    middle = (left + right) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(panel.x_label)}</text>'
    )
    frame = f'<rect class="frame" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"/>'
    return f'<path class="grid" d="{"".join(lines)}"/>{frame}{"".join(parts)}'


def _power(exponent: int) -> str:
    """10 to this power, small ones in plain digits."""
    if exponent in (0, 1):
        return str(10**exponent)
    sign = "\u2212" if exponent < 0 else ""
    return f'10<tspan dy="-4" font-size="8">{sign}{abs(exponent)}</tspan>'
