"""Runs as one JSON document, for the commands' ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bnspec.reports.run.codec import documents, plain, to_json
from bnspec.reports.run.merge import merge
from bnspec.reports.run.records import Record
from bnspec.reports.run.store import Run
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.cells import cells


def run_document(runs: Sequence[Run]) -> dict[str, Any]:
    """One document: ``run`` (the first manifest, and whether all runs are whole), targets, causes, findings, incidents,
    timings (one of each contender on each workload, with its processes inside), comparisons, roofs; and where there are any conventions, translations, stability curves, targets that finished, mutants and variants."""
    run = merge(runs)
    return {
        "run": {
            **to_json(run.manifest),
            "complete": run.complete,
            "finished": plain(run.finished and run.finished.finished),
        },
        "targets": documents(run.targets),
        "causes": documents(run.causes),
        "findings": documents(run.findings),
        "incidents": documents(run.incidents),
        "timings": [c.to_json() for c in cells(run.timings, Ceiling(run.roofs))],
        "comparisons": documents(run.comparisons),
        "roofs": documents(run.roofs),
        **{name: documents(found) for name, found in _others(run).items() if found},
    }


def _others(run: Run) -> dict[str, Sequence[Record]]:
    """What only some commands write; absent from the document where there is none."""
    return {
        "conventions": run.conventions,
        "translations": run.translations,
        "stability": run.stability_curves,
        "not_measured": run.not_measured,
        "targets_finished": run.targets_finished,
        "mutants": run.mutants,
        "variants": run.variants,
        "clause_kills": run.clause_kills,
    }
