"""Bits that changed, and errors that became others: both by case, from the digests of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bnspec.reports.compare.change import Change, Compared, Coverage, Excluded
from bnspec.reports.compare.operands import Pair, Place
from bnspec.reports.run.bits import CaseBits
from bnspec.reports.run.store import Run

#: In what two machines must agree for their bits to be compared: libraries choose instructions and blocks by these.
SAME_MACHINE = ("cpu", "architecture", "usable_cores", "system")


def other_machine(a: Run, b: Run) -> str:
    """In what the machines of two runs differ; empty where their bits can be compared."""
    one, other = a.manifest.machine, b.manifest.machine
    differ = [name.replace("_", " ") for name in SAME_MACHINE if one.get(name) != other.get(name)]
    return f"the machines differ in {', '.join(differ)}" if differ else ""


def digests(run: Run, place: Place) -> Mapping[str, CaseBits]:
    """The digests of a target, by case."""
    return next((b.cases for b in run.bits if (b.backend, b.device) == place), {})


def compared_bits(pair: Pair) -> Compared:
    """The bits of results, output by output."""
    a, b = (digests(run, place) for run, place in pair)
    if not a or not b:
        return Compared()
    common = a.keys() & b.keys()
    counts = len(common), len(a.keys() - b.keys()), len(b.keys() - a.keys())
    if why := other_machine(pair.before[0], pair.after[0]):
        return Compared(excluded=(Excluded("bits", len(common), why),))
    changed: dict[str, list[str]] = {}
    of: Counter[str] = Counter()
    for case in common:
        # where a step gives something on one side only, digests over all steps say nothing of bits
        if a[case].endings != b[case].endings:
            continue
        for output in a[case].outputs.keys() & b[case].outputs.keys():
            of[output] += 1
            if a[case].outputs[output] != b[case].outputs[output]:
                changed.setdefault(output, []).append(case)
    changes = [
        Change(
            kind="bits",
            what=output,
            direction="change",
            before="",
            after=f"{len(cases)} of {of[output]} cases",
            worse=len(cases),
            example=min(cases),
        )
        for output, cases in sorted(changed.items())
    ]
    ended = sum(a[case].endings != b[case].endings for case in common)
    excluded = (Excluded("bits", ended, "other steps gave results"),) if ended else ()
    return Compared(tuple(changes), (Coverage("bits", "cases with bits", *counts),), excluded)


def compared_endings(pair: Pair) -> Compared:
    """Steps that ended without a result: errors of another class, results in place of errors, and the other way round."""
    a, b = (digests(run, place) for run, place in pair)
    cases: dict[tuple[str, str], set[str]] = {}
    for case in a.keys() & b.keys():
        before, after = _endings(a[case]), _endings(b[case])
        for step in before.keys() | after.keys():
            words = before.get(step, "returns"), after.get(step, "returns")
            if words[0] != words[1]:
                cases.setdefault(words, set()).add(case)
    changes = [
        Change(
            kind="ending",
            what=f"{x} → {y}",
            direction="change",
            before=x,
            after=y,
            worse=len(found),
            example=min(found),
        )
        for (x, y), found in sorted(cases.items())
    ]
    crashes = _incidents(pair)
    return Compared((*changes, *crashes))


def _endings(bits: CaseBits) -> dict[str, str]:
    """By step."""
    found = {}
    for ending in bits.endings.split(", ") if bits.endings else ():
        step, _, words = ending.partition(" ")
        found[step] = words
    return found


def _incidents(pair: Pair) -> list[Change]:
    """Cases that end another way: crashed, timed out."""
    sides = [{i.case: i.status for i in run.incidents if (i.backend, i.device) == place} for run, place in pair]
    before, after = sides
    found: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], str] = {}
    for case in before.keys() & after.keys():
        if before[case] != after[case]:
            words = before[case], after[case]
            found[words] += 1
            shown.setdefault(words, case)
    return [
        Change(kind="ending", what=f"{x} → {y}", direction="change", before=x, after=y, worse=n, case=shown[x, y])
        for (x, y), n in sorted(found.items())
    ]
