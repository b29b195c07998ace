"""The known deviations as one Markdown document, from the entries that runs are judged with: ``docs/deviations.md``."""

from __future__ import annotations

import collections
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from bnspec.backends.harness.folders import PACKAGE, BackendFolder, backend_folders
from bnspec.backends.harness.known.deviation import CLASSES, Choice, Known
from bnspec.backends.harness.known.entries import BY_FOLDER, CHOICES
from bnspec.backends.harness.registry import registered

#: So many clauses are listed; of more, the first ones and their number.
LISTED_CLAUSES = 8

INTRODUCTION = """\
# Known deviations

{scope}

This page is generated from the entries in `backends/*/harness/known.py` by `make deviations`; a test fails when it is stale. The
entries give the inputs as predicates and the releases as version ranges. A deviation that no entry covers is new, and one that
no longer happens is stale; both fail `pytest conformance`.

Classes: **bug** contradicts the framework's own documentation or the definition; **documented difference**: the framework says
so; **accuracy**: right semantics, computed less exactly than good implementations do.

"None found": no public report was found by searches from 2026-11-25 to 2026-11-28. The search covers stored copies of public trackers, so it may
miss one.

To reproduce: `bnspec verify --backend BACKEND --clause CLAUSE`, then `bnspec repro RUN:CLAUSE@BACKEND` for a script.
"""

SCOPE = (
    "What `bnspec verify` finds in {releases}, on the CPU of Linux x86-64. Each was reproduced by a script that uses the "
    "framework and NumPy alone, and the numbers are the script's, but where they are said to be of the suite's case."
)


def page() -> str:
    """The document of the entries, folders and backends of this repository."""
    ours = [e.name for e in registered() if e.adapter.startswith(f"{PACKAGE}.")]
    return text(BY_FOLDER, CHOICES, backend_folders(), ours)


def text(
    entries: Mapping[str, Sequence[Known]],
    choices: Sequence[Choice],
    folders: Sequence[BackendFolder],
    backends: Sequence[str],
) -> str:
    """The whole document.

    Args:
        entries: by backend folder; choices: what is recorded only.
        folders: the folders, which say which releases are tested.
        backends: the names of all backends, from which each entry's glob selects.

    Returns: Markdown, ending with a newline.
    """
    tested = {f.name: [t.replace("==", " ") for t in f.tested] for f in folders if f.name in entries}
    releases = [r for names in tested.values() for r in names]
    parts = [INTRODUCTION.format(scope=textwrap.fill(SCOPE.format(releases=_and(releases)), 120))]
    parts += _contents(entries)
    for folder, known in entries.items():
        parts.append(f"## {folder}\n\nTested: {', '.join(tested[folder])}.\n")
        parts += [_section(number, k, backends) for number, k in _numbered(folder, known)]
    parts.append("## Choices that are recorded only\n\nClauses of level MAY; they fail nothing.\n")
    parts += [_wrapped(f"- `{c.backend}`, `{c.clause}`: {c.note}") for c in choices]
    return "\n".join(parts) + "\n"


def anchor(title: str) -> str:
    """The anchor that a heading has where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _numbered(folder: str, known: Sequence[Known]) -> list[tuple[str, Known]]:
    return [(f"{folder} {n}", k) for n, k in enumerate(known, 1)]


def _contents(entries: Mapping[str, Sequence[Known]]) -> Iterator[str]:
    every = [k for known in entries.values() for k in known]
    count = collections.Counter(k.kind for k in every)
    words = [f"{count[kind]} {_plural(kind, count[kind])}" for kind in CLASSES]
    unreported = sum(not k.reported for k in every)
    yield f"{len(every)} deviations: {', '.join(words)}. Of {unreported} the search found no public report.\n"
    yield "| deviation | backends | class |\n|---|---|---|"
    for folder, known in entries.items():
        for number, k in _numbered(folder, known):
            yield f"| [{number}: {k.title}](#{anchor(f'{number}: {k.title}')}) | {_globs(k)} | {k.kind} |"
    yield ""


def _globs(known: Known) -> str:
    """The names of an entry's backends, for a table."""
    named, left_out = (", ".join(f"`{glob}`" for glob in globs) for globs in known.globs)
    return f"{named} but {left_out}" if left_out else named


def _plural(kind: str, number: int) -> str:
    return kind if number == 1 or kind == "accuracy" else f"{kind}s"


def _section(number: str, known: Known, backends: Sequence[str]) -> str:
    named = [b for b in backends if known.names(b)]
    clauses = ", ".join(f"`{c}`" for c in known.clauses[:LISTED_CLAUSES])
    more = len(known.clauses) - LISTED_CLAUSES
    rows = [
        ("class", known.kind),
        ("backends", ", ".join(f"`{b}`" for b in named) + f" (`{known.package}{known.versions}`){_on(known.devices)}"),
        ("clauses", clauses + (f" and {more} more" if more > 0 else "")),
        ("where", known.conditions),
        ("why", known.reason),
        ("observed", known.observed),
        ("report", " ".join(filter(None, [_report(known), known.search]))),
    ]
    lines = [_wrapped(f"- **{name}**: {words}") for name, words in rows]
    return "\n".join([f"### {number}: {known.title}\n", *lines, ""])


def _on(devices: str) -> str:
    """On which devices; nothing for the CPU, which the page is about."""
    return "" if devices == "cpu" else f" on `{devices}`"


def _report(known: Known) -> str:
    link = f"[{_label(known.link)}]({known.link})" if known.link else ""
    return f"{link}." if known.reported else f"none found{f'; {link}' if link else ''}."


def _label(link: str) -> str:
    """A short name of a page: ``project#number`` of a report, or the host."""
    found = re.fullmatch(r"https://github\.com/[^/]+/([^/]+)/(?:issues|pull)/(\d+)", link)
    return f"{found[1]}#{found[2]}" if found else link.split("/")[2]


def _and(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def _wrapped(row: str) -> str:
    return textwrap.fill(row, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
