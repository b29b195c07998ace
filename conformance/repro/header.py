"""The header of a script: what deviates, from which clause, what came, what is known of it, and how to run it."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import comment
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.clauses import CLAUSES
from bnspec.conformance.repro.deviation import Deviation
from bnspec.reports.run.evidence import KnownDeviation
from bnspec.reports.run.records import TargetRecord


def header(deviation: Deviation, writer: Writer) -> list[str]:
    """Whole sentences as comments, a paragraph a line of thought."""
    finding, target = deviation.finding, deviation.target
    releases = ", ".join(f"{p} {target.versions[p]}" for p in writer.packages if p in target.versions)
    packages = f" ({releases})" if releases else ""
    clause = CLAUSES.get(finding.clause)
    statement = f': "{_closed(clause.statement)}"' if clause else "."
    known = finding.known
    sentences = [
        f"{finding.backend}{packages} on {finding.device} deviates from {finding.clause}.",
        f"The clause is a {finding.level}{statement}",
        outcome(deviation),
        *(known_sentence(k) for k in known or ()),
        *([] if known else ["No known deviation covers it."]),
    ]
    environment = f"{writer.environment} " if writer.environment and finding.device == "cpu" else ""
    sentences += environment_sentences(target)
    sentences.append(f"Run it as: {environment}python FILE")
    return [line for sentence in sentences for line in comment(sentence)]


def environment_sentences(target: TargetRecord) -> list[str]:
    """What must be installed, where that is not what the harness has."""
    housed = target.environment
    if housed is None:
        return []
    releases = ", ".join(f"{name}=={version}" for name, version in housed.packages.items())
    made = f" It held {releases}." if releases else ""
    place = f"It was found in an environment of {housed.specification}, Python {housed.python}"
    return [f"{place}: bnspec environments make '{housed.specification}' makes it again.{made}"]


def outcome(deviation: Deviation) -> str:
    """What was expected and what came, in one sentence."""
    e = deviation.evidence
    index = f"[{', '.join(map(str, e.index))}]" if e.index else ""
    if e.exception is not None:
        return f"The call {e.call} raised {_closed(' '.join(e.exception.split())[:300])}"
    if deviation.finding.verdict in ("crashed", "timeout"):
        ended = "died" if deviation.finding.verdict == "crashed" else "did not end in time"
        return f"The process {ended} in one of the calls below."
    if e.expected is None and e.got is None:
        return OUTCOMES.get(e.relation, f"What is broken is the relation {e.relation!r}.").format(
            call=e.call, output=f"{e.output or 'the result'}{index}", names=" and ".join(e.names) or "an argument"
        )
    if e.relation in ("no_offset", "no_gain") and e.got is not None and e.bound is not None:
        of = "errors" if e.relation == "no_offset" else "errors in magnitude"
        return (
            f"Expected of {e.call}: {of} of {e.output} that are 0 on average, within {float(e.bound):.3g} u; "
            f"got: {float(e.got):.3g} u."
        )
    value = "a value" if e.expected is None else e.expected
    sentence = (
        f"Expected of {e.call}: {e.output or 'y'}{index} = {value}; got: {'another' if e.got is None else e.got}."
    )
    if e.ratio is None or e.bound is None:
        return sentence
    return f"{sentence} The error is {float(e.ratio):.3g} times its bound of {float(e.bound):.3g}."


#: What came where there is no number to tell.
OUTCOMES = {
    "raises": "Expected of {call}: an exception; got: a result.",
    "unchanged": "Expected of {call}: no change of {output}; got: other bits.",
    "equal_bits": "Expected of {call}: the same bits of {output} in both calls; got: other bits.",
    "separate_memory": "Expected of {call}: results in memory of their own; got: memory shared by {names}.",
    "differs": "Expected of {call}: a channel of y that varies; got: beta all over channel {output}.",
}


def known_sentence(known: KnownDeviation) -> str:
    """What is known of the deviation: its class, its reason, and where it is documented."""
    link = f" See {known.link} for more." if known.link else ""
    return f'This is a known deviation, classed as "{known.kind}": {_closed(known.reason)}{link}'


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
