"""A finding as a standalone script: its case in the framework's words, and the assertion that its evidence asks for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import COLUMNS, count, source
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.conformance.repro.assembly import every_step, paragraphs, pruned, without_idle
from bnspec.conformance.repro.assertions import assertion_of
from bnspec.conformance.repro.deviation import deviation_of
from bnspec.conformance.repro.formulas import explained
from bnspec.conformance.repro.header import header
from bnspec.conformance.repro.own_adapter import OwnAdapterWriter, found
from bnspec.model.case import Case
from bnspec.model.names import base_of, parts_of
from bnspec.reports.run.records import Finding, TargetRecord

MAX_STATEMENTS = 15


def writers() -> dict[str, type[Writer]]:
    """For each backend that has one, the class that writes its scripts."""
    return {b: w for f in backend_folders() for b, w in (f.harness_object("repro", "WRITERS") or {}).items()}


def has_writer(backend: str) -> bool:
    """Whether scripts are written for a backend: a registered one with a writer, or an adapter of one's own."""
    return ":" in backend or base_of(backend) in writers()


def writer_of(backend: str) -> Callable[[Case, str, str, bool], Writer]:
    """What makes the writer of a backend's scripts. Raises NoScript: there is none, or an own adapter is not found."""
    base, environment = parts_of(backend)
    if ":" in base:
        if environment:
            raise NoScript("an adapter of one's own imports bnspec, which is not installed in its environment")
        return partial(OwnAdapterWriter, found(base))
    known = writers().get(base)
    if known is None:
        raise NoScript(f"no writer of standalone scripts exists for {backend}")
    return known


def script(finding: Finding, case: Case, target: TargetRecord) -> str:
    """The script's text. Raises NoScript: there is none for this backend, case or evidence; the message says why."""
    make_writer = writer_of(finding.backend)
    if case.subject == "network":
        raise NoScript("a network's training step takes more than 15 statements beside the layer's")
    deviation = explained(deviation_of(finding, case, target))
    asserted = pruned(case, assertion_of(deviation))
    # the compact form leaves out what is not asserted: two kinds of call would become the same one
    compared = [asserted[0].steps[k].call for k in asserted[1].names]
    mixed = len({call.kind for call in compared if not call.between}) > 1
    for compact, steps in itertools.product((False,) if mixed else (False, True), (every_step, without_idle)):
        short, assertion = steps(*asserted)
        writer = make_writer(short, finding.device, assertion.wanted, compact)
        parts = [source(part) for part in paragraphs(writer, assertion, deviation.may_raise)]
        lines = [line for part in parts for line in ("", *part)]
        taken = count("\n".join(lines))
        if taken <= MAX_STATEMENTS:
            break
    else:
        raise NoScript(f"it would take {taken} statements, more than {MAX_STATEMENTS}")
    text = [*header(deviation, writer), *lines]
    widest = max(map(len, text))
    if widest > COLUMNS:
        raise NoScript(f"one of its lines would take {widest} columns, more than {COLUMNS}")
    return "\n".join(text) + "\n"
