"""A finding as a standalone script: the case, the framework's writer and the look, in the fewest lines that are legible."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.clauses import CLAUSES
from bnspec.conformance.checks.check import count_of
from bnspec.conformance.repro.assembly import parts, pruned, versions
from bnspec.conformance.repro.assertions import look
from bnspec.conformance.repro.formulas import shown_of
from bnspec.model.case import Case, Step
from bnspec.reports.run.evidence import known_sentence
from bnspec.reports.run.records import Finding, TargetRecord

MAX_LINES = 15


def writers() -> dict[str, type[Writer]]:
    """For each backend that has one, the class that writes its scripts."""
    return {b: w for f in backend_folders() for b, w in (f.harness_object("repro", "WRITERS") or {}).items()}


def script(finding: Finding, case: Case, target: TargetRecord) -> str:
    """The script's text. Raises NoScript: there is none for this backend, case or check; the message says why."""
    writer_class = writers().get(finding.backend)
    if writer_class is None:
        raise NoScript(f"no writer of standalone scripts exists for {finding.backend}")
    shown = shown_of(finding, case, target.conventions)
    if shown.evidence.get("relation") == "repeats":
        raise NoScript("it was seen once, and not again when the case was repeated")
    if case.subject == "network":
        raise NoScript("a network's training step takes more than 15 lines beside the layer's")
    short, looked = pruned(case, look(shown))
    writer = writer_class(short, finding.device, looked.wanted)
    found = parts(writer, looked, _raising(short, target.conventions))
    for lines in versions(writer, found, heads(finding, target, writer)):
        if len(lines) <= MAX_LINES:
            return "\n".join(lines) + "\n"
    raise NoScript(f"it would take {len(lines)} lines, more than {MAX_LINES}")


def _raising(case: Case, conventions: Mapping[str, object]) -> Callable[[Step], bool]:
    """Whether a step on the way ends with an exception, by the case and by what the backend declares."""

    def raises(step: Step) -> bool:
        if step.refused or not step.inputs:
            return step.refused
        policy = {0: conventions.get("empty_batch"), 1: conventions.get("count_one")}.get(count_of(case, step))
        return policy == "raises" and step.call.mode == "training"

    return raises


def heads(finding: Finding, target: TargetRecord, writer: Writer) -> list[list[str]]:
    """The opening comments, long and short: who, where, which clause, and what class of deviation it is."""
    releases = ", ".join(f"{p} {target.versions[p]}" for p in writer.packages if p in target.versions)
    clause = CLAUSES.get(finding.clause)
    statement = f": {clause.statement}" if clause else ""
    place = f"{releases or finding.backend} on {finding.device}"
    first = f"# {finding.backend} ({place}) deviates from {finding.clause}, a {finding.level}{statement}"
    run = f"; run with {writer.environment}" if writer.environment and finding.device == "cpu" else ""
    second = f"# {'; '.join(map(known_sentence, finding.known)) or 'not classed'}{run}"
    kind = (finding.known[0].kind if finding.known else "not classed") + run
    short = f"# {finding.backend} ({place}) deviates from {finding.clause}, a {finding.level}; {kind}"
    return [[first, second], [short]]
