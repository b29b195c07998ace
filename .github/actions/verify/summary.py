"""The summary of a run as Markdown, from ``bnspec verify --json``; ends with 1 where a deviation is one that fails the job.

python summary.py DOCUMENT must|any|never
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: Verdicts that are no success, and the levels that each choice fails on.
FAILING = ("deviates", "crashed", "timeout")
LEVELS = {"must": ("MUST",), "any": ("MUST", "SHOULD"), "never": ()}


def summary(findings: list[dict[str, Any]]) -> str:
    """A row for each deviation, and how many clauses conform."""
    wrong = [f for f in findings if f["verdict"] in FAILING]
    conforming = sum(f["verdict"] == "conforms" for f in findings)
    lines = [f"## bnspec: {conforming} conform, {len(wrong)} do not", ""]
    if wrong:
        lines += ["| level | clause | backend | verdict | error / bound | |", "|---|---|---|---|---|---|"]
    for f in wrong:
        message = str(f["message"]).replace("|", "\\|").replace("\n", " ")
        lines.append(
            f"| {f['level']} | `{f['clause']}` | {f['backend']}@{f['device']} | {f['verdict']} | {f['ratio']} | {message} |"
        )
    unavailable = sorted({f["backend"] for f in findings if f["verdict"] == "unavailable"})
    if unavailable:
        lines += ["", f"Not available, so not judged: {', '.join(unavailable)}."]
    return "\n".join(lines)


def main(document: str, fail: str) -> int:
    """Print the summary."""
    findings = json.loads(Path(document).read_text("utf-8"))["findings"]
    sys.stdout.write(summary(findings) + "\n")
    judged = any(f["verdict"] == "conforms" or f["verdict"] in FAILING for f in findings)
    failing = any(f["verdict"] in FAILING and f["level"] in LEVELS[fail] for f in findings)
    return int(failing or not judged)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
