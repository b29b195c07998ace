"""The pictures: what the numbers on them are, who is drawn how, and what a picture says that has no data."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmark_records import benchmark_records

from bnspec.reports.page.page import build_page
from bnspec.reports.plots.album import album
from bnspec.reports.plots.axes import TICKS, Axis, around
from bnspec.reports.plots.distribution import ecdf
from bnspec.reports.plots.growth import extent, slope
from bnspec.reports.plots.palette import SHAPES, palette
from bnspec.reports.plots.pareto import front
from bnspec.reports.plots.picture import Picture
from bnspec.reports.plots.units import bandwidth_text, bytes_text, count_text, factor_text, percent_text
from bnspec.reports.run.records import Roof, Timing
from bnspec.reports.run.store import read_run
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.cells import Cell, cells

WriteRun = Callable[..., Path]
RECORDS = benchmark_records(processes=2, samples=8)
LISTED = cells([r for r in RECORDS if isinstance(r, Timing)], Ceiling([r for r in RECORDS if isinstance(r, Roof)]))


def pictures(listed: list[Cell], roofs: list[Roof]) -> dict[str, Picture]:
    """The album by name."""
    return {p.name: p for p in album(listed, palette(listed), Ceiling(roofs))}


@pytest.fixture(scope="module")
def drawn() -> dict[str, Picture]:
    """The pictures of a run that has data for all of them."""
    return pictures(LISTED, [r for r in RECORDS if isinstance(r, Roof)])


@pytest.mark.parametrize(
    ("name", "panels"),
    [
        ("roofline", ["training, cpu", "inference, cpu", "training gradients, cpu"]),
        ("sizes", ["training", "inference", "training gradients"]),
        ("pareto", ["training", "inference", "training gradients"]),
        ("growth", ["training, float32: elements per channel", "training, float32: channels"]),
        ("threads", ["training", "inference", "training gradients"]),
    ],
)
def test_each_picture_is_drawn_where_the_run_has_data(name: str, panels: list[str], drawn: dict[str, Picture]) -> None:
    """With a word for who does not see it, a title and a legend."""
    picture = drawn[name]
    assert [p.title for p in picture.panels] == panels
    assert not picture.missing
    assert all('role="img" aria-label="' in p.plot and "<title>" in p.plot for p in picture.panels)
    assert all(picture.legend or p.legend for p in picture.panels)


def test_a_picture_without_data_says_what_is_missing(sample: Any) -> None:
    """One line instead of an empty frame."""
    found = pictures(cells([sample.timing()]), [])
    assert all(p.missing.startswith("Not drawn: ") and not p.panels for p in found.values())
    assert "no roof was measured" in found["roofline"].missing


def test_a_run_without_times_has_no_pictures(sample: Any) -> None:
    """Nothing to draw, and nothing to say about it."""
    untimed = sample.timing(samples_ns=(), median_ns=None, verdict="declined", ratio=None)
    assert pictures(cells([untimed]), []) == {}


def test_every_place_in_a_picture_lies_inside_it(drawn: dict[str, Picture]) -> None:
    """No mark and no word is cut off by the edge."""
    for panel in itertools.chain.from_iterable(p.panels for p in drawn.values()):
        places = re.findall(r"translate\(([\d.e+-]+) ([\d.e+-]+)\)", panel.plot)
        assert places
        assert all(0 < float(x) < 460 and 0 < float(y) < 300 for x, y in places)
        assert "nan" not in panel.plot


def test_what_is_impossible_or_rejected_wears_a_ring_under_the_roof_and_stands_in_no_other_picture(
    drawn: dict[str, Picture],
) -> None:
    """The roofline is where it is shown; elsewhere a time that is not of the work would mislead."""
    training, inference, _ = drawn["roofline"].panels
    assert training.plot.count('class="ring"') == 1
    assert inference.plot.count('class="ring"') == 1
    assert "outputs rejected" in training.plot
    assert not [p for p in drawn["sizes"].panels if "outputs rejected" in p.plot]
    assert not [p for p in drawn["pareto"].panels if "faster than the roof" in p.plot]


def test_a_backend_is_drawn_alike_whatever_else_was_timed() -> None:
    """Within a page a colour and a marker mean one backend; its conditions differ by dash and filling."""
    styles = palette(LISTED)
    assert styles["torch.nn@cpu"].backend == styles["torch.nn@cpu[threads=1]"].backend
    assert styles["torch.nn@cpu"].variant != styles["torch.nn@cpu[threads=1]"].variant


def test_fourteen_backends_are_told_apart(sample: Any) -> None:
    """No two have both the colour and the marker in common."""
    styles = palette(cells([sample.timing(f"backend{i}") for i in range(42)]))
    assert len({(s.classes, s.shape) for s in styles.values()}) == 42
    assert len(SHAPES) < 42


def test_the_front_holds_those_that_nobody_beats_in_both() -> None:
    """From left to right it only falls; a twin of a point on it is not drawn twice."""
    assert front([(2, 1), (1, 3), (3, 2), (2, 1), (4, 0.5)]) == [(1, 3), (2, 1), (4, 0.5)]


def test_the_exponent_is_that_of_the_power_law() -> None:
    """Exact where the points lie on one."""
    assert slope([(n, 3.0 * n**1.5) for n in (1, 10, 100)]) == pytest.approx(1.5, rel=16 * 2**-52)  # logarithms, sums


@pytest.mark.parametrize(("scan", "expected"), [("count", 12), ("channels", 5), ("size", 60), ("", 60)])
def test_what_grows_is_what_the_series_is_named_after(scan: str, expected: int, sample: Any) -> None:
    """x of 3 by 5 by 4, channels on axis 1."""
    [cell] = cells([sample.timing(shape=(3, 5, 4))])
    assert extent(cell, scan) == expected


def test_a_workload_may_be_a_point_of_several_series(sample: Any) -> None:
    """Each of them gets its panel."""
    listed = cells([sample.timing(shape=(n, 2), scans=("count", "size")) for n in (4, 8, 16)])
    panels = [p.title for p in pictures(listed, [])["growth"].panels]
    assert panels == ["training, float32: elements per channel", "training, float32: elements of x"]


def test_the_share_of_samples_goes_from_none_to_all() -> None:
    """Evenly chosen where there are many, with the least and the greatest."""
    assert ecdf([30, 10, 20], 10) == [(10.0, 0.0), (10.0, 1 / 3), (20.0, 2 / 3), (30.0, 1.0)]
    few = ecdf(range(1, 1001), 9)
    assert len(few) == 10
    assert (few[0], few[-1]) == ((1.0, 0.0), (1000.0, 1.0))


@pytest.mark.parametrize("low", [1e-5, 0.3, 7.0, 4096.0])
@pytest.mark.parametrize("factor", [1.0, 2.0, 30.0, 1e9])
@pytest.mark.parametrize("base", [2, 10])
def test_an_axis_names_a_few_values_inside(low: float, factor: float, base: int) -> None:
    """At least one, at most a few, in their order."""
    axis = around([low, low * factor], "", str, base)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= TICKS
    assert ticks == sorted(ticks)
    assert all(0 <= axis.share(t) <= 1 for t in ticks)


def test_a_linear_axis_names_round_values() -> None:
    """Both ends where they are round."""
    axis = Axis("", str, 0.0, 1.0, logarithmic=False)
    assert axis.ticks() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], rel=2 * 2**-52)
    assert axis.share(math.inf) == 1.0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (bytes_text(1536), "1.5 KiB"),
        (bytes_text(12), "12 B"),
        (bandwidth_text(12.5e9), "12.5 GB/s"),
        (count_text(65536), "65.5k"),
        (count_text(512), "512"),
        (percent_text(0.045), "4.5 %"),
        (percent_text(0.62), "62 %"),
        (percent_text(20.0), "20×"),
        (factor_text(1.0), "1"),
        (factor_text(1.002), "1.0020"),
    ],
)
def test_numbers_are_written_for_people(said: str, expected: str) -> None:
    """Three digits and a unit; never 1 for what is not 1."""
    assert said == expected


def test_the_page_of_a_whole_run_is_not_heavy(write_run: WriteRun) -> None:
    """A hundred cells stay below two megabytes."""
    assert len(build_page([read_run(write_run(*RECORDS))], {})) < 2_000_000
