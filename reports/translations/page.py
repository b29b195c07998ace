"""The page of translations between any two backends, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnspec.reports.compare.markdown import text
from bnspec.reports.run.records import ratio_text
from bnspec.reports.translations.record import AnyTwo, OwnDeviation, Pair, Proved
from bnspec.reports.translations.rules import Rules, rules_of

_SIGNS = {"exact": "=", "rounded": "≈", "none": "–", "deviates": "!", "fails": "✗"}
_UNKNOWN = "no known deviation covers it, and these clauses are broken"
_DECLARED = "within the bounds of what the adapter declares, which experiments found to be kept more exactly elsewhere"
#: Of the conventions, those of which a translation speaks.
SHOWN = (
    "momentum_weighs",
    "default_epsilon",
    "default_decay",
    "running_correction",
    "normalising_correction",
    "epsilon_minimum",
    "first_batch",
    "channel_axes",
    "state_dtype",
    "dtypes",
)


def page(found: AnyTwo) -> str:
    """Who agrees with whom, then the translation of every pair."""
    numbers, rules = _numbered(found)
    groups = _alike(found, numbers)
    return "\n".join(
        [
            *_head(found),
            *_conventions(found, groups),
            *_matrix(found, numbers, groups),
            *_deviations(found),
            *_rules(rules, numbers),
        ]
    )


def _head(found: AnyTwo) -> Iterator[str]:
    pairs = [p for of in found.pairs.values() for p in of.values()]
    trained = [p.training for p in pairs if p.training.agreeing]
    yield "<!-- Written by make translations from translations.json. -->"
    yield "# Translations between any two backends"
    yield ""
    yield f"The conventions of {len(found.backends)} backends were inferred by experiment on {found.measured}, by specification {found.specification}. Of each ordered pair a layer"
    yield "of the source, and difficult ones beside it, were built on the target by the translation below. Both ran the same data: in inference,"
    yield "with gradients where both compute them, and for three training steps, with the running statistics after each. `bnspec conventions SOURCE --to TARGET` prints one pair"
    yield "with its numbers, and runs it."
    yield ""
    yield f"{len(pairs)} pairs; in inference {_count(pairs, 'inference')}; in further training {_count(pairs, 'training')}. The worst"
    yield f"\\|source - target\\| / (bound + bound) of layers that agree in training is {_worst(trained)}."
    yield ""
    if found.left_out:
        yield "Left out: " + "; ".join(f"{text(n)}: {text(why)}" for n, why in sorted(found.left_out.items())) + "."
        yield ""


def _count(pairs: Sequence[Pair], route: str) -> str:
    counts = {how: sum(getattr(p, route).how == how for p in pairs) for how in _SIGNS}
    words = {
        "exact": "agree, nothing rounded",
        "rounded": "agree, a number rounded once",
        "none": "have no translation",
        "deviates": "agree but for what a backend does beyond its own bounds",
        "fails": "fail",
    }
    return ", ".join(f"{n} {words[how]}" for how, n in counts.items() if n)


def _worst(proved: Sequence[Proved]) -> str:
    ratios = [float(p.ratio) for p in proved if p.ratio is not None]
    return ratio_text(max(ratios)) if ratios else "not measured"


def _numbered(found: AnyTwo) -> tuple[dict[tuple[str, str], int], list[Rules]]:
    """The rules of every pair by number: pairs with equal rules share it."""
    rules: list[Rules] = []
    numbers = {}
    for source, of in found.pairs.items():
        for target in of:
            one = rules_of(found.backends[source].conventions, found.backends[target].conventions)
            if one not in rules:
                rules.append(one)
            numbers[source, target] = rules.index(one)
    return numbers, rules


def _alike(found: AnyTwo, numbers: dict[tuple[str, str], int]) -> list[list[str]]:
    """Backends that are translated alike to and from every other."""
    groups: list[list[str]] = []
    for name in found.backends:
        for group in groups:
            if all(_same(found, numbers, name, group[0], other) for other in found.backends):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _same(found: AnyTwo, numbers: dict[tuple[str, str], int], a: str, b: str, other: str) -> bool:
    if other in (a, b):
        return numbers[a, b] == numbers[b, a] and _signs(found, a, b) == _signs(found, b, a)
    alike = numbers[a, other] == numbers[b, other] and numbers[other, a] == numbers[other, b]
    return (
        alike
        and _signs(found, a, other) == _signs(found, b, other)
        and _signs(found, other, a) == _signs(found, other, b)
    )


def _signs(found: AnyTwo, source: str, target: str) -> str:
    pair = found.pairs[source][target]
    return _sign(pair.inference) + _sign(pair.training)


def _sign(proved: Proved) -> str:
    return "(!)" if proved.how == "deviates" and not proved.agreeing else _SIGNS[proved.how]


def _conventions(found: AnyTwo, groups: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "## Conventions"
    yield ""
    yield "Those of which a translation speaks; a letter for the backends that are translated alike."
    yield ""
    yield f"| | backends | {' | '.join(SHOWN)} |"
    yield "|" + " --- |" * (len(SHOWN) + 2)
    for letter, group in zip(_letters(), groups, strict=False):
        values = [_value(found.backends[group[0]].conventions.get(name)) for name in SHOWN]
        yield f"| {letter} | {text(', '.join(group))} | {' | '.join(values)} |"
    yield ""
    versions = sorted({f"{n} {v}" for one in found.backends.values() for n, v in one.versions.items()})
    yield f"Measured with {text(', '.join(versions))}."
    yield ""
    differing = {name: one.differences for name, one in found.backends.items() if one.differences}
    yield from (f"- {text(n)} declares otherwise: {text(', '.join(fields))}" for n, fields in differing.items())
    yield from [""] * bool(differing)


def _value(value: object) -> str:
    if isinstance(value, list):
        return text(", ".join(map(str, value)))
    return text(f"{value:g}" if isinstance(value, float) else str(value))


def _matrix(found: AnyTwo, numbers: dict[tuple[str, str], int], groups: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "## Every ordered pair"
    yield ""
    yield "From the row to the column: inference, then further training. = both agree within their bounds, and every number is stored exactly;"
    yield "≈ both agree, and a number was rounded once; – there is no translation; ! they do not agree in some layers or dtypes, and there one of them is not within"
    yield "its own bounds either, or fails: see below; (!) in none; ✗ both are within their own bounds, and do not agree: the translation fails. The number is that of"
    yield "the rules below. Where the divisors of the running variance differ, further training agrees for batches of one size."
    yield ""
    letters = dict(zip(_letters(), groups, strict=False))
    yield f"| | {' | '.join(letters)} |"
    yield "|" + " --- |" * (len(letters) + 1)
    for letter, group in letters.items():
        cells = []
        for other in letters.values():
            ends = next(((a, b) for a in group for b in other if a != b), None)
            cells.append("" if ends is None else f"{_signs(found, *ends)} [{numbers[ends] + 1}](#{numbers[ends] + 1})")
        yield f"| **{letter}** | {' | '.join(cells)} |"
    yield ""
    failing = list(_failing(found))
    if failing:
        yield "Translations that fail:"
        yield ""
        yield from failing
        yield ""


def _failing(found: AnyTwo) -> Iterator[str]:
    """The translations that fail, and where."""
    for source, of in found.pairs.items():
        for target, pair in of.items():
            for route, proved in (("inference", pair.inference), ("training", pair.training)):
                if proved.how == "fails":
                    yield f"- ✗ {text(source)} → {text(target)}, {route}: {text(proved.why)}"


def _deviations(found: AnyTwo) -> Iterator[str]:
    yield "## What is beyond its own bounds"
    yield ""
    yield "Of each backend's own layers and of those that were translated to it: results that are not what its own conventions ask, whatever another"
    yield "backend gives. Why is what the known deviations say that cover it; see [deviations](deviations.md)."
    yield ""
    yield "| backend | dtypes | results | why |"
    yield "| --- | --- | --- | --- |"
    for name, one in found.backends.items():
        by_reason: dict[str, list[OwnDeviation]] = {}
        for d in one.deviations:
            by_reason.setdefault(_why(d), []).append(d)
        for why, of in by_reason.items():
            dtypes, results, clauses = (
                text(", ".join(dict.fromkeys(n for d in of for n in getattr(d, field))))
                for field in ("dtypes", "results", "clauses")
            )
            broken = f": {clauses}" if why == _UNKNOWN else ""
            yield f"| {text(name)} | {dtypes} | {results} | {text(why)}{broken} |"
    failed = sorted(_failed(found))
    if failed:
        yield ""
        yield from failed
    yield ""


def _why(deviation: OwnDeviation) -> str:
    return " ".join(deviation.reasons) or (_UNKNOWN if deviation.clauses else _DECLARED)


def _failed(found: AnyTwo) -> set[str]:
    """The backends that failed on a layer that they offer, and how."""
    said: set[str] = set()
    for source, of in found.pairs.items():
        for target, pair in of.items():
            for proved in (pair.inference, pair.training):
                name, _, end = proved.why.partition(" failed: ")
                if proved.how == "deviates" and end:
                    said.add(f"- {text(target if name.endswith('the target') else source)} failed: {text(end)}")
    return said


def _rules(rules: Sequence[Rules], numbers: dict[tuple[str, str], int]) -> Iterator[str]:
    yield "## The rules"
    yield ""
    for k, one in enumerate(rules):
        pairs: dict[str, list[str]] = {}
        for (source, target), number in numbers.items():
            if number == k:
                pairs.setdefault(source, []).append(target)
        yield f'### <a id="{k + 1}"></a>{k + 1}'
        yield ""
        yield f"<details><summary>{sum(map(len, pairs.values()))} pairs</summary>"
        yield ""
        yield from (f"- {text(source)} → {text(', '.join(targets))}" for source, targets in pairs.items())
        yield ""
        yield "</details>"
        yield ""
        yield "| for | part | how | formula |"
        yield "| --- | --- | --- | --- |"
        for purpose, parts in (("both", one.shared), ("inference", one.inference), ("training", one.training)):
            for part in parts:
                yield f"| {purpose} | {text(part.name)} | {part.how} | {text(part.formula)} |"
        yield ""
        yield from (f"- as long as {text(need)}" for need in one.needs)
        yield ""


def _letters() -> Iterator[str]:
    """A, B, ..., Z, AA, AB, ..."""
    for first in ("", *(chr(ord("A") + n) for n in range(26))):
        yield from (first + chr(ord("A") + n) for n in range(26))
