"""What each backend is claimed to support: a small text in git, held against a run.

Each family of clauses is, for a backend on the CPU at effort quick, one of

    verified    cases were judged, and no MUST of the family deviates
    runs        cases were judged, and a MUST deviates, known or not
    declines    every case that asks was declined
    unknown     nothing was asked, or there is no claim: never taken for support

A claim is lost where a run shows a lower state. ``python -m bnspec.conformance.support RUN...`` prints the text with the claims of
these runs in place of the older ones.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bnspec.errors import UsageError
from bnspec.reports.run.reading import Run, read_run
from bnspec.reports.run.records import Finding

State = Literal["unknown", "declines", "runs", "verified"]
#: From the least to the most.
STATES: tuple[State, ...] = get_args(State)
CLAIMS = Path(__file__).with_name("support.txt")
DTYPES = "dtypes"
HEADER = "# What `bnspec verify --effort quick` showed on the CPU; see conformance/support.py. What is not here is unknown.\n"


@dataclass(frozen=True)
class Support:
    """What one backend supports: the dtypes of x that it offers, and the state of each family."""

    dtypes: tuple[str, ...]
    families: Mapping[str, State]


def state_of(findings: Iterable[Finding]) -> State:
    """The state of the family with these findings."""
    verdicts = [(f.verdict, f.level) for f in findings]
    if ("deviates", "MUST") in verdicts:
        return "runs"
    if any(verdict in ("conforms", "deviates") for verdict, _ in verdicts):
        return "verified"
    return "declines" if any(verdict == "declined" for verdict, _ in verdicts) else "unknown"


def support_of(run: Run, backend: str) -> Support:
    """What a run shows of a backend on the CPU."""
    record = next(r for r in run.targets if (r.backend, r.device) == (backend, "cpu"))
    mine = [f for f in run.findings if (f.backend, f.device) == (backend, "cpu")]
    families = dict.fromkeys(f.family for f in mine)
    states = {family: state_of(f for f in mine if f.family == family) for family in families}
    return Support(tuple(record.conventions.get(DTYPES, ())), states)


def lost(claim: Support, seen: Support) -> list[str]:
    """A sentence for each dtype and family that is claimed and was not seen."""
    gone = [f"x of dtype {dtype} is no longer offered" for dtype in claim.dtypes if dtype not in seen.dtypes]
    for family, state in claim.families.items():
        now = seen.families.get(family, "unknown")
        if STATES.index(now) < STATES.index(state):
            gone.append(f"{family} is {now}, claimed {state}")
    return gone


def parse(text: str) -> dict[str, Support]:
    """The claims by backend. Raises UsageError: a line is none, or a family has two states."""
    claims: dict[str, dict[str, tuple[str, ...]]] = {}
    backend = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if not line[0].isspace():
            backend, claims[words[0]] = words[0], {}
        elif backend and words[0] in (*STATES[1:], DTYPES):
            claims[backend][words[0]] = tuple(words[1:])
        else:
            raise UsageError(
                f"line {number} of the claims of support is none: {line.strip()!r}.",
                f"below a backend stand {DTYPES}, {', '.join(STATES[1:])}.",
                "correct conformance/support.txt.",
            )
    return {name: _support(name, rows) for name, rows in claims.items()}


def _support(backend: str, rows: Mapping[str, Sequence[str]]) -> Support:
    named = [(family, state) for state in STATES[1:] for family in rows.get(state, ())]
    if len(dict(named)) != len(named):
        raise UsageError(
            f"{backend}: a family has two states in the claims of support.",
            "a family is verified, runs or is declined.",
            "correct conformance/support.txt.",
        )
    return Support(tuple(rows.get(DTYPES, ())), dict(named))


def written(claims: Mapping[str, Support]) -> str:
    """The text of the claims, sorted by backend; what is unknown is not written."""
    lines = [HEADER]
    for name, support in sorted(claims.items()):
        rows = {DTYPES: list(support.dtypes)}
        rows.update({s: [f for f, state in support.families.items() if state == s] for s in reversed(STATES[1:])})
        lines += [name, *(f"    {key:<9} {' '.join(words)}" for key, words in rows.items() if words)]
    return "\n".join(lines) + "\n"


def claimed() -> dict[str, Support]:
    """The claims in git."""
    return parse(CLAIMS.read_text("utf-8"))


def main(runs: Sequence[str]) -> int:
    """Print the claims with those of these runs in place of the older ones."""
    claims = claimed()
    for path in runs:
        run = read_run(Path(path))
        ready = [r.backend for r in run.targets if r.status == "ready" and r.device == "cpu"]
        claims.update({backend: support_of(run, backend) for backend in ready})
    print(written(claims), end="")  # noqa: T201 - for the file
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
