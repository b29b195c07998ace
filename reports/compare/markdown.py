"""Markdown for a pull request: a comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bnspec.printable import clean
from bnspec.reports.compare import words
from bnspec.reports.compare.comparison import Comparison, TargetComparison
from bnspec.reports.compare.policy import Policy
from bnspec.reports.compare.table import verdict

#: What has a meaning in Markdown or HTML, or would name a person or an issue.
_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+!|~@&-])")
#: Changes of a pair that are shown; further ones are counted.
CHANGES = 40


def markdown(comparison: Comparison, policies: Sequence[Policy]) -> str:
    """The comparison: a table of what changed on each pair, then what it rests on."""
    lines = [f"### {text(verdict(comparison, policies))}", ""]
    lines += [f"> {text(note)}" for note in comparison.notes] + [""] * bool(comparison.notes)
    for p in comparison.pairs:
        lines += _pair(p)
    for when, names in (("before", comparison.only_before), ("after", comparison.only_after)):
        if names:
            lines += [f"Only {when}: {text(', '.join(names))}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _pair(p: TargetComparison) -> list[str]:
    lines = [f"**{text(p.pair.title)}**: {text(p.sentence)}", ""]
    if p.changes:
        lines += ["| | what | before | after | |", "|---|---|---|---|---|"]
        for c in p.changes[:CHANGES]:
            cells = (words.mark(c), words.what(c), words.before(c), words.after(c), "; ".join(words.details(c)))
            lines.append("| " + " | ".join(map(text, cells)) + " |")
        if (more := len(p.changes) - CHANGES) > 0:
            lines.append(f"| | and {more} more | | | |")
        lines.append("")
    rests = [*map(words.coverage, p.coverage), *map(words.excluded, p.excluded)]
    return [*lines, f"<sub>{text('; '.join(rests))}</sub>", ""] if rests else lines


def text(said: str) -> str:
    """Text of a run as Markdown shows it: one line, no markup."""
    return _SIGNS.sub(r"\\\1", clean(" ".join(said.split()))).replace("\\<", "&lt;").replace("\\&", "&amp;")
