"""CSV with one row for each sample: the least that a statistic of one's own needs. What has no samples has no rows."""

from __future__ import annotations

from bnspec.reports.exports.processes_csv import identity, table
from bnspec.reports.exports.selection import cells_of
from bnspec.reports.run.store import Run


def samples_csv(run: Run) -> str:
    """The table's text: the process, its verdict, the sample's number and its nanoseconds."""
    return table(
        {
            **identity(cell, timing),
            "verdict": timing.verdict,
            "calls_per_sample": timing.calls_per_sample,
            "sample": number,
            "sample_ns": sample,
        }
        for cell in cells_of(run)
        for timing in cell.timings
        for number, sample in enumerate(timing.samples_ns)
    )
