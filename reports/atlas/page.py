"""The atlas as Markdown: what changed with each release, strips of releases, and the list of all changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnspec.reports.atlas.atlas import CASES, Atlas, Package, stale
from bnspec.reports.atlas.behaviours import aside, behaviours
from bnspec.reports.atlas.changes import AtlasChange, Changes
from bnspec.reports.atlas.repros import REPROS
from bnspec.reports.atlas.strips import banners, strips
from bnspec.reports.compare.markdown import text

#: Characters of a value in a table.
VALUE_AT_MOST = 90
_HEAD = "<!-- Written by make atlas from the entries beside it. -->"


def overview(atlas: Atlas) -> str:
    """For each package what changed in which release, then its strips."""
    lines = [
        _HEAD,
        "# The atlas",
        "",
        f"What batch normalization does in {atlas.releases} releases of {len(atlas.packages)} packages: each was installed in an environment of its",
        "own and judged on the same cases. A file a release, `PACKAGE/RELEASE.json`; `RELEASE.changes.json` says what changed from the",
        f"release before it in the atlas. [All {len(atlas.changes)} changes](changes.md), each seen again in both environments.",
        "",
        "Of each package first what changed, the newest release first; what deviates since then is bold. `make atlas` writes a page with",
        "more, `runs/atlas/index.html`.",
        "",
        "In a strip: ✓ all judged cases of the family conform; ✗ followed by how many clauses deviate; – nothing was judged;",
        "∅ the backend is not there in this release. **Bold**: a verdict of the family changed from the release before; a change",
        "of bits alone stands in its row.",
        "",
        *_banners(atlas),
    ]
    for package in atlas.packages:
        lines += _package(package)
    return "\n".join(lines).rstrip() + "\n"


def _banners(atlas: Atlas) -> Iterator[str]:
    """What no longer says what it would say today."""
    for why, names in banners(atlas).items():
        yield f"> **Stale**: {text(why)}: {text(', '.join(names))}."
        yield ""


def _package(package: Package) -> Iterator[str]:
    yield f"## {text(package.name)}"
    yield ""
    for b in behaviours(package):
        sentence = f"**{text(b.sentence)}**" if b.worse else text(b.sentence)
        cause = f"; {text(b.cause)}" if b.cause else ""
        yield f"- {text(b.before)} → {text(b.after)}: {sentence} ({text(', '.join(b.backends))}){cause}"
    if others := aside(package):
        pairs = ", ".join(f"{text(a)} → {text(b)}" for a, b in others)
        yield f"- bits within the bounds, or types of errors, alone: {pairs}"
    yield ""
    for strip in strips(package):
        yield f"**{text(strip.backend)}**"
        yield ""
        names = [f"{e.release}{' (stale)' if stale(e) else ''}" for e in package.entries]
        yield _row(["family", *names])
        yield _row(["---"] * (len(names) + 1))
        for name, cells in strip.rows:
            yield _row([name, *(f"**{c.text}**" if c.moved else c.text for c in cells)])
        yield ""
    missing = [c for _, c in sorted(package.changes.items()) if c.unseen or c.left_out]
    for changes in missing:
        said = [*(f"not seen again: {u}" for u in changes.unseen)]
        said += [f"{n} of {kind} not looked at again" for kind, n in sorted(changes.left_out.items())]
        yield f"- {text(changes.before)} → {text(changes.after)}: {text('; '.join(said))}"
    if missing:
        yield ""


def changes_page(atlas: Atlas) -> str:
    """Every change, with its case and what was seen in both environments."""
    lines = [
        _HEAD,
        "# Changes found",
        "",
        "From one release to the next that is in the [atlas](README.md). Each was found by judging both on the same cases, and then",
        "seen again in both environments: by running its case or its script there, or by making the experiment again. No line rests on a changelog.",
        "",
    ]
    for package in atlas.packages:
        listed = [(c, one) for _, c in sorted(_by_release(package)) for one in c.changes]
        if not listed and not package.bisections and not package.repros:
            continue
        lines += [f"## {text(package.name)}", ""]
        if listed:
            lines += [_row(_COLUMNS), _row(["---"] * len(_COLUMNS))]
            lines += [_row(_cells(package, changes, change)) for changes, change in listed]
            lines.append("")
        lines += _repros(package)
        for b in package.bisections:
            lines.append(
                f"- Bisected, {text(b.backend)}, {text(b.question)}: last {text(b.last_before)}, {text(b.sentence)}."
            )
        lines += [""] * bool(package.bisections)
    return "\n".join(lines).rstrip() + "\n"


def _repros(package: Package) -> Iterator[str]:
    """What scripts print over the releases."""
    if not package.repros:
        return
    releases = [e.release for e in package.entries]
    yield "Scripts of the framework and NumPy alone, run in every release:"
    yield ""
    yield _row(["script", "asks", "prints, in releases"])
    yield _row(["---"] * 3)
    for repro in package.repros:
        said = [
            f"{text(s.first if s.first == s.last else f'{s.first} to {s.last}')}: {text(s.line)}"
            for s in repro.stretches(releases)
        ]
        place = f"{package.name}/{REPROS}/{repro.path.name}"
        yield _row([f"[{text(repro.name)}]({place})", text(repro.asks), "<br>".join(said)])
    yield ""


_COLUMNS = (
    "releases",
    "backend",
    "what",
    "",
    "before",
    "after",
    "seen",
    "case",
    "cause, where bisected; else what else changed",
)


def _by_release(package: Package) -> Iterator[tuple[int, Changes]]:
    order = [e.release for e in package.entries]
    for release, changes in package.changes.items():
        yield order.index(release), changes


def _cells(package: Package, changes: Changes, change: AtlasChange) -> list[str]:
    level = f"{change.level} " if change.level else ""
    sights = "; ".join(f"{s.means}: {s.before} → {s.after}" for s in change.sights)
    case = f"[{change.case}]({changes.package}/{CASES}/{change.case}.json)" if change.case else ""
    cause = package.cause(changes, change) or ", ".join(changes.companions) or "nothing"
    return [
        text(f"{changes.before} → {changes.after}"),
        text(change.backend),
        text(f"{level}{change.kind} {change.what}"),
        text(change.direction),
        _short(change.before),
        _short(change.after),
        _short(sights),
        case,
        _short(cause),
    ]


def _short(said: str) -> str:
    return text(said if len(said) <= VALUE_AT_MOST else f"{said[:VALUE_AT_MOST]}…")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def pages(atlas: Atlas) -> dict[str, str]:
    """Each page by its file's name."""
    return {"README.md": overview(atlas), "changes.md": changes_page(atlas)}
