"""The answer of a run without findings and timings, in one line."""

from __future__ import annotations

from bnspec.reports.run.stability import subject
from bnspec.reports.run.store import Run


def mutants_headline(run: Run) -> str:
    """How many mutants were killed, and how many variants were not accused."""
    parts = []
    if run.mutants:
        killed, own = sum(m.killed for m in run.mutants), sum(m.killed_by_family for m in run.mutants)
        parts.append(f"{killed} of {len(run.mutants)} mutants killed, {own} by a clause of their own")
    if run.variants:
        clear = sum(not v.killed for v in run.variants)
        parts.append(f"{clear} of {len(run.variants)} correct variants not accused")
    return "; ".join(parts)


def conventions_headline(run: Run) -> str:
    """In how many conventions the experiments contradict the declarations, and whether the translations hold."""
    parts = []
    if run.conventions:
        differ = sum(c.agreement == "differs" for c in run.conventions)
        inferred = sum(c.is_inferred for c in run.conventions)
        parts.append(f"{inferred} conventions inferred, {differ or 'none'} against the declaration")
    if run.translations:
        proved = [t for t in run.translations if t.proofs]
        parts.append(f"{sum(t.holds for t in proved)} of {len(proved)} translations hold")
    return "; ".join(parts)


def stability_headline(run: Run) -> str:
    """How many backends were measured."""
    names = {subject(c) for c in run.stability_curves}
    return f"How the errors of {len(names)} backend{'s' * (len(names) != 1)} grow" if names else ""


def other_headline(run: Run) -> str:
    """The first of them that there is."""
    return conventions_headline(run) or mutants_headline(run) or stability_headline(run)
