"""Conventions and stability classes that changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bnspec.reports.compare.change import Change, Compared, Coverage, Direction
from bnspec.reports.compare.operands import Pair, Place
from bnspec.reports.run.codec import plain
from bnspec.reports.run.conventions import Convention
from bnspec.reports.run.records import TargetRecord
from bnspec.reports.run.stability import StabilityCurve
from bnspec.reports.run.store import Run


def compared_conventions(pair: Pair) -> Compared:
    """What experiments inferred, and what the adapter declares where no experiment was made of it."""
    a, b = (inferred(run, place) for run, place in pair)
    changes = [c for field in a.keys() & b.keys() if (c := _convention(a[field], b[field]))]
    measured = Coverage("convention", "conventions inferred", *_counts(a, b))
    one, other = (_declared(run, place) for run, place in pair)
    both = one.keys() & other.keys()
    changes += [
        _changed(field, text(one[field]), text(other[field]), "declared by the adapter")
        for field in both - (a.keys() & b.keys())
        if one[field] != other[field]
    ]
    declared = Coverage("convention", "conventions declared", len(both))
    covered = [c for c in (measured, declared) if c.both or c.only_before or c.only_after]
    return Compared(tuple(sorted(changes, key=lambda c: c.what)), tuple(covered))


def _counts(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> tuple[int, int, int]:
    return len(a.keys() & b.keys()), len(a.keys() - b.keys()), len(b.keys() - a.keys())


def inferred(run: Run, place: Place) -> dict[str, Convention]:
    """What experiments found of a target, by field; without what cannot be observed."""
    return {c.field: c for c in run.conventions if (c.backend, c.device) == place and c.agreement != "not observable"}


def _declared(run: Run, place: Place) -> dict[str, Any]:
    found: TargetRecord | None = next((t for t in run.targets if (t.backend, t.device) == place), None)
    return {} if found is None else plain(found.conventions)


def _convention(a: Convention, b: Convention) -> Change | None:
    """A change, where no value explains the observations of both sides."""
    if a.interval is not None and b.interval is not None:
        low, high = (max(float(a.interval[0]), float(b.interval[0])), min(float(a.interval[1]), float(b.interval[1])))
        changed = low > high
    else:
        one, other = ({json.dumps(plain(v), sort_keys=True) for v in c.possible} for c in (a, b))
        changed = not one & other and bool(one or other)
    return _changed(a.field, possible_text(a), possible_text(b), b.evidence or b.reason) if changed else None


def possible_text(convention: Convention) -> str:
    """What experiments leave possible, for a person."""
    if convention.interval is not None:
        return f"between {convention.interval[0]} and {convention.interval[1]}"
    return " or ".join(map(text, convention.possible)) or "none of the known"


def text(value: Any) -> str:
    """A value of a convention, for a person."""
    return value if isinstance(value, str) else json.dumps(plain(value), sort_keys=True)


def _changed(field: str, before: str, after: str, message: str) -> Change:
    return Change(kind="convention", what=field, direction="change", before=before, after=after, message=message)


def compared_stability(pair: Pair) -> Compared:
    """How errors grow with kappa: the class, output by output."""
    a, b = (_curves(run, place) for run, place in pair)
    changes = []
    for key in a.keys() & b.keys():
        before, after = a[key], b[key]
        if before.stability_class is None or after.stability_class is None:
            continue
        if before.stability_class != after.stability_class:
            worse = after.stability_class > before.stability_class
            sure = before.sure and after.sure
            direction: Direction = ("regression" if worse else "repair") if sure else "change"
            what = " ".join(str(word) for word in key if word is not None)
            said = "" if sure else "the exponents' intervals leave room for another class"
            texts = (f"class {before.stability_class}", f"class {after.stability_class}")
            changes.append(
                Change(kind="stability", what=what, direction=direction, before=texts[0], after=texts[1], message=said)
            )
    counts = _counts(a, b)
    coverage = (Coverage("stability", "stability curves", *counts),) if any(counts) else ()
    return Compared(tuple(sorted(changes, key=lambda c: c.what)), coverage)


def _curves(run: Run, place: Place) -> dict[tuple[str, str, str, int | None], StabilityCurve]:
    return {(c.output, c.dtype, c.form, c.threads): c for c in run.stability_curves if (c.backend, c.device) == place}
