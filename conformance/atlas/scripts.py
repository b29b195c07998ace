"""A change seen by a script: of the framework and NumPy alone, run in both environments."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.conformance.repro.execute import run_script
from bnspec.conformance.repro.script import has_writer, script
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.atlas.changes import Sight
from bnspec.reports.compare.change import Change
from bnspec.reports.compare.operands import Pair
from bnspec.reports.run.files import case_text
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FAILING

#: What the end of a script says; one that failed says nothing.
WORDS = {"reproduced": "the script shows the deviation", "not reproduced": "the script does not show it"}


def script_sight(change: Change, pair: Pair) -> Sight | None:
    """The script of the side that fails, run on both; None where there is none, or it ends alike on both."""
    run, place = pair.before if change.direction == "repair" else pair.after
    finding = next((f for f in run.findings if (f.clause, f.backend, f.device) == (change.what, *place)), None)
    target = next((t for t in run.targets if (t.backend, t.device) == place), None)
    if finding is None or target is None or finding.verdict not in FAILING or not has_writer(finding.backend):
        return None
    try:
        case = Case.loads(case_text(run.path, finding.shrunk or finding.case or ""))
        text = script(finding, case, target)
    except (UsageError, NoScript):
        return None
    with tempfile.TemporaryDirectory(prefix="bnspec-atlas-") as folder:
        file = Path(folder) / "repro.py"
        file.write_text(text)
        ends = [_end(file, finding, where.backend) for _, where in pair]
    if None in ends or ends[0] == ends[1]:
        return None
    return Sight("script", *map(str, ends))


def _end(file: Path, finding: Finding, backend: str) -> str | None:
    """How the script ends in the environment of a backend."""
    return WORDS.get(run_script(file, msgspec.structs.replace(finding, backend=backend)).status)
