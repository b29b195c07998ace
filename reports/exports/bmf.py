"""Bencher Metric Format: a benchmark's measures, each a value with an optional interval.

    {"training-4096x64-axis1-float32/torch.nn@cpu": {
        "latency": {"value": 110.0, "lower_value": 105.0, "upper_value": 118.0},
        "error_over_bound": {"value": 0.5}}}

Latency is in nanoseconds, as Bencher's own measure of this name: the median of the processes' medians, between the lowest
and the highest of these medians. A run of one process has no interval.

Source: https://bencher.dev/docs/reference/bencher-metric-format/
"""

from __future__ import annotations

import json
import math

from bnspec.reports.exports.selection import Selection, name
from bnspec.reports.run.records import ratio_value
from bnspec.reports.run.store import Run
from bnspec.reports.summary.cells import Cell

Measures = dict[str, dict[str, float]]


def bmf(_: Run, selection: Selection) -> str:
    """The document's text."""
    return json.dumps({name(c): measures(c) for c in selection.taken}, indent=1, allow_nan=False) + "\n"


def measures(cell: Cell) -> Measures:
    """A cell's measures: ``latency``, and ``error_over_bound`` where it is a finite number: JSON has no other."""
    medians = list(cell.medians_ns.values())
    assert cell.median_ns is not None, "what is selected has samples"
    latency = {"value": cell.median_ns}
    if len(medians) > 1:
        latency.update(lower_value=min(medians), upper_value=max(medians))
    found: Measures = {"latency": latency}
    ratio = ratio_value(cell.ratio)
    if math.isfinite(ratio):
        found["error_over_bound"] = {"value": ratio}
    return found
