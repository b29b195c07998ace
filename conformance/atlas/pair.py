"""What changed from one measured release to the next, each change seen again in both environments."""

from __future__ import annotations

import collections
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bnspec.conformance.atlas.scripts import script_sight
from bnspec.conformance.atlas.seen import Release, Seen, see
from bnspec.conformance.bisection.isolation import changed
from bnspec.conformance.bisection.question import Open
from bnspec.model.case import Case
from bnspec.reports.atlas.changes import AtlasChange, Changes, Sight
from bnspec.reports.atlas.entry import Entry
from bnspec.reports.compare.change import Change, Kind
from bnspec.reports.compare.comparison import compare_pairs
from bnspec.reports.compare.operands import Pair, Place
from bnspec.reports.run.records import ratio_text
from bnspec.reports.run.store import Run

#: Kinds that are looked at again. A stability class is a study of its own, a time wants a quiet machine.
LOOKED_AT: tuple[Kind, ...] = ("target", "verdict", "convention", "ending", "bits")
#: Changes of one kind on one backend that are looked at again, the others are counted.
EACH_AT_MOST = 40
#: Verdicts of one backend that scripts show, too: each opens the framework twice, and of one cause the first say as much as all.
SCRIPTS_AT_MOST = 4


@dataclass(frozen=True)
class Measured:
    """A release that was measured: its entry, its run directory, and how each of its backends is opened."""

    entry: Entry
    run: Run
    opens: Mapping[str, Open]

    def place(self, base: str) -> Place | None:
        """The target of a backend, by its base name."""
        targets = (Place(t.backend, t.device) for t in self.run.targets)
        return next((p for p in targets if p.base.backend == base), None)


Keep = Callable[[Case], None]


def changes_between(before: Measured, after: Measured, cases: Mapping[str, Case], keep: Keep) -> Changes:
    """The changes of all backends that both have. ``cases``: of both runs; ``keep``: saves a case of the atlas."""
    found: list[AtlasChange] = []
    unseen: list[str] = []
    left_out: collections.Counter[str] = collections.Counter()
    for base in sorted(before.entry.backends.keys() & after.entry.backends.keys()):
        places = before.place(base), after.place(base)
        if places[0] is None or places[1] is None:
            continue
        pair = Pair((before.run, places[0]), (after.run, places[1]))
        (compared,) = compare_pairs([pair]).pairs
        releases = Release(before.run, before.opens[base]), Release(after.run, after.opens[base])
        scripts = 0
        try:
            for change in _chosen(compared.changes, left_out):
                seen = see(change, *releases, cases)
                if not seen.sights:
                    unseen.append(f"{base} {change.kind} {change.what}")
                    continue
                if seen.case is not None:
                    keep(seen.case)
                script = script_sight(change, pair) if change.kind == "verdict" and scripts < SCRIPTS_AT_MOST else None
                scripts += script is not None
                found.append(_atlas_change(base, change, seen, () if script is None else (script,)))
        finally:
            for release in releases:
                release.close()
    a, b = before.entry, after.entry
    return Changes(
        package=b.package,
        before=a.release,
        after=b.release,
        seen=datetime.datetime.now(datetime.UTC).date().isoformat(),
        changes=tuple(found),
        companions=tuple(map(str, changed(b.package, a.packages, b.packages))),
        unseen=tuple(unseen),
        left_out=dict(left_out),
    )


def _chosen(changes: Sequence[Change], left_out: collections.Counter[str]) -> list[Change]:
    """Those that are looked at again; of a clause that is made worse by many cases one."""
    chosen: list[Change] = []
    taken: collections.Counter[str] = collections.Counter()
    for change in changes:
        taken[change.kind] += 1
        if change.kind in LOOKED_AT and taken[change.kind] <= EACH_AT_MOST:
            chosen.append(change)
        else:
            left_out[change.kind] += 1
    return chosen


def _atlas_change(base: str, change: Change, seen: Seen, more: Sequence[Sight]) -> AtlasChange:
    return AtlasChange(
        backend=base,
        kind=change.kind,
        what=change.what,
        direction=change.direction,
        before=change.before + _ratio(change.ratio_before, change),
        after=change.after + _ratio(change.ratio_after, change),
        level=change.level,
        cases=change.worse or change.better,
        case=None if seen.case is None else seen.case.id,
        message=change.message,
        sights=(*seen.sights, *more),
    )


def _ratio(ratio: float | str | None, change: Change) -> str:
    return f", ratio {ratio_text(ratio)}" if change.kind == "verdict" and ratio is not None else ""
