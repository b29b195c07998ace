"""Charts of error curves on logarithmic axes: a line for each backend, thin reference lines for the bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from markupsafe import Markup

from bnspec.reports.plots.axes import Axis
from bnspec.reports.plots.palette import Style
from bnspec.reports.plots.plot import Guide, Plot, Point, Series, draw

Points = Sequence[tuple[float, float]]

#: The smallest error that is drawn, in units.
LEAST = 1e-2


@dataclasses.dataclass(frozen=True)
class Line:
    """A curve of one backend, in the backend's style."""

    name: str
    style: Style
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


def axes(panel: Panel) -> tuple[Axis, Axis]:
    """The ranges that hold the curves, and those parts of the bounds that lie near them."""
    places = [p for line in panel.lines for p in line.points]
    xs = [x for x, _ in places] or [1.0, 10.0]
    ys = [max(y, LEAST) for _, y in places] or [1.0]
    top = min(max(ys), 100.0 * panel.lost)
    near = [max(min(b, 30.0 * top), LEAST) for _, points in panel.bounds for _, b in points]
    top = max(top, *near, 10.0) if near else max(top, 10.0)
    bottom = math.floor(math.log10(min(*ys, 1.0)))
    highest = max(math.ceil(math.log10(top)), bottom + 2)
    across = Axis(panel.x_label, power, min(xs) / 10.0**0.1, max(xs) * 10.0**0.1)
    return across, Axis("error in units of u", power, 10.0**bottom, 10.0**highest)


def coinciding(panel: Panel) -> list[str]:
    """Names of curves that lie on each other at every point, as "a = b": one hides the other."""
    groups: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for line in panel.lines:
        groups.setdefault(tuple(line.points), []).append(line.name)
    return [" = ".join(names) for names in groups.values() if len(names) > 1]


def chart(panel: Panel) -> Markup:
    """The panel as one picture."""
    x, y = axes(panel)
    # a bound above the top is not drawn: it ends where it leaves the picture
    bounds = [(name, [p for p in points if p[1] <= y.high]) for name, points in panel.bounds]
    words = f"{panel.title}: error in units of u, logarithmic axes; curves of {', '.join(n.name for n in panel.lines)}"
    return draw(
        Plot(
            words,
            x,
            y,
            [Series(n.name, n.style, [Point(*p, n.name) for p in n.points], n.points) for n in panel.lines if n.points],
            [Guide(name, f"bound {name.split()[0]}", points) for name, points in bounds if len(points) > 1],
            [(panel.half, "half of the digits gone"), (panel.lost, "all digits gone")],
        )
    )


def power(value: float) -> str:
    """A round value on an axis as markup: powers of ten as such, small ones in plain digits."""
    exponent = round(math.log10(value))
    if exponent in (0, 1) or value != 10.0**exponent:
        return f"{value:g}"
    sign = "\u2212" if exponent < 0 else ""
    return f'10<tspan dy="-4" font-size="8">{sign}{abs(exponent)}</tspan>'
