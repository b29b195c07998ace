"""Repros of a run directory: which findings, where their scripts go, and how each ended."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import msgspec

from bnspec.backends.harness.environments.cache import is_there
from bnspec.backends.harness.environments.spec import parse as parse_environment
from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import count
from bnspec.cli import CONFORMS, DEVIATES
from bnspec.conformance.repro.execute import Outcome, RunStatus, run_again
from bnspec.conformance.repro.script import has_writer, script
from bnspec.errors import FULL, BnspecError, HarnessError, UsageError
from bnspec.model.case import Case
from bnspec.model.names import parts_of
from bnspec.printable import quoted, some
from bnspec.reports.run.files import case_text
from bnspec.reports.run.records import Finding, TargetRecord, target_name
from bnspec.reports.run.store import Run, read_run, write_atomically
from bnspec.reports.run.vocabulary import FAILING

#: What comes of evidence that names what its case does not have.
UNFIT = (LookupError, ValueError, TypeError, ArithmeticError, AttributeError, SyntaxError, BnspecError)


@dataclasses.dataclass(frozen=True)
class ReproRequest:
    """What ``bnspec repro`` was asked for.

    Attributes:
        run: the run directory; clauses, backends: shell globs over its findings, all when empty.
        named: whether one finding was named, so that none may be missing.
    """

    run: Path
    clauses: Sequence[str] = ()
    backends: Sequence[str] = ()
    named: bool = False


#: Whether there is a script, and once it was run how that ended.
ReproStatus = RunStatus | Literal["written", "no writer", "no script", "not run"]


@dataclasses.dataclass(frozen=True)
class Repro:
    """A finding's script.

    Attributes:
        status: "written", "no writer" (for this backend), "no script" (for this finding), and once it was run "reproduced",
            "not reproduced" or "failed"; or "not run", where it is not vouched for.
        text: the script; path: where it was written. reason: why there is none.
        outcome: how its run ended.
        vouched: whether it may be run. A script of an own adapter imports the file that the run names, and one of a release may
            need packages installed; a run may be anybody's: whoever runs it names the backend on the command line.
    """

    finding: Finding
    status: ReproStatus
    text: str = ""
    path: Path | None = None
    reason: str = ""
    outcome: Outcome | None = None
    vouched: bool = True

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        f, outcome = self.finding, self.outcome
        return {
            "clause": f.clause,
            "level": f.level,
            "backend": f.backend,
            "device": f.device,
            "verdict": f.verdict,
            "known": msgspec.to_builtins(f.known),
            "status": self.status,
            "reason": self.reason,
            "script": str(self.path) if self.path else None,
            "statements": count(self.text),
            "exit_status": outcome.exit_status if outcome else None,
            "seconds": round(outcome.seconds, 3) if outcome else None,
            "runs": outcome.runs if outcome else None,
            "output": outcome.output if outcome else None,
        }


def parse(text: str, clauses: Sequence[str], backends: Sequence[str]) -> ReproRequest:
    """RUN, or RUN:CLAUSE@BACKEND. Raises UsageError: it is neither."""
    if Path(text).exists():
        return ReproRequest(Path(text), clauses, backends)
    found = re.fullmatch(r"(?P<run>.+):(?P<clause>[\w.*?\[\]]+)@(?P<backend>.+)", text)
    if not found:
        raise UsageError(
            f"{text} is neither a run directory nor a finding.",
            "a run directory does not exist there, and a finding is written RUN:CLAUSE@BACKEND.",
            "name a folder that bnspec verify wrote, or for example runs/mine:running.var@torch.nn.",
        )
    if clauses or backends:
        raise UsageError(
            "a finding and globs were given together.",
            f"{text} names clause and backend already.",
            "leave --clause and --backend out, or name the run directory alone.",
        )
    return ReproRequest(Path(found["run"]), (found["clause"],), (found["backend"],), named=True)


def chosen(run: Run, request: ReproRequest) -> list[Finding]:
    """The deviating findings that are asked for. Raises UsageError: a pattern that no finding matches."""
    found = list(run.findings)
    for patterns, key in ((request.clauses, _clauses), (request.backends, _backends)):
        for pattern in patterns:
            if not any(_matches(k, pattern) for f in run.findings for k in key(f)):
                names = sorted({key(f)[0] for f in run.findings})
                near = difflib.get_close_matches(pattern, names, 1, 0.5)
                raise UsageError(
                    f"no finding of {run.path} matches {quoted(pattern)}.",
                    f"it holds findings of {some(names) or 'nothing'}.",
                    f"did you mean {near[0]}?" if near else "name one that bnspec report shows, or a glob.",
                )
        if patterns:
            found = [f for f in found if any(_matches(k, p) for k in key(f) for p in patterns)]
    deviating = [f for f in found if f.verdict in FAILING]
    if request.named and not deviating:
        said = ", ".join(f"{f.clause} on {target_name(f)} {f.verdict}" for f in found) or "there is no such pair"
        raise UsageError(
            "there is no deviation to show.", f"{said}.", "bnspec report RUN lists the deviations of a run."
        )
    return deviating


def _matches(name: str, pattern: str) -> bool:
    """Whether a name is meant; brackets in the name of a backend are part of it."""
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def _clauses(finding: Finding) -> tuple[str, ...]:
    return finding.clause, finding.family


def _backends(finding: Finding) -> tuple[str, ...]:
    return finding.backend, target_name(finding)


def repros(request: ReproRequest) -> list[Repro]:
    """A script, or the reason why there is none, for each finding that is asked for.

    Raises UsageError: the run cannot be read, a pattern matches nothing, or a named finding can have no script.
    """
    run = read_run(request.run)
    targets = {(t.backend, t.device): t for t in run.targets}
    made = []
    for finding in chosen(run, request):
        blank = TargetRecord(finding.backend, finding.device, "ready", "", "", {}, {})
        vouched = finding.backend in request.backends or is_vouched(finding.backend)
        made.append(_repro(run, finding, targets.get((finding.backend, finding.device), blank), vouched))
    lacking = next((r for r in made if not r.text), None)
    if request.named and lacking is not None:
        raise UsageError(
            f"{lacking.finding.clause} on {target_name(lacking.finding)} has no standalone script.",
            f"{lacking.reason}.",
            f"send its case instead: {run.path / (lacking.finding.shrunk or lacking.finding.case or 'cases')}.",
        )
    return made


def is_vouched(backend: str) -> bool:
    """Whether a script of this backend runs nothing that only the run names.

    That is an adapter's file, an interpreter, or packages that would be installed; an environment that is there, this user has made.
    """
    base, environment = parts_of(backend)
    if ":" in base or not environment:
        return ":" not in base
    try:
        spec = parse_environment(environment)
    except UsageError:
        return False
    return not spec.interpreter and is_there(spec)


def _repro(run: Run, finding: Finding, target: TargetRecord, vouched: bool) -> Repro:
    if not has_writer(finding.backend):
        return Repro(finding, "no writer", reason=f"no writer of standalone scripts exists for {finding.backend}")
    path = finding.shrunk or finding.case
    if path is None:
        return Repro(finding, "no script", reason="no case was saved with it")
    try:
        case = Case.loads(case_text(run.path, path))
    except UsageError as error:
        raise UsageError(f"{run.path / path}: {error.what}", error.why, error.fix) from None
    try:
        return Repro(finding, "written", script(finding, case, target), vouched=vouched)
    except NoScript as reason:
        return Repro(finding, "no script", reason=str(reason))
    except UNFIT as error:  # the run may be anybody's: its evidence need not fit its case
        return Repro(
            finding, "no script", reason=f"its evidence does not fit its case: {type(error).__name__}: {error}"
        )


def own_folder(run: Path) -> Path:
    """Where a run's scripts go. Raises UsageError: a link is there, which may lead anywhere."""
    folder = run / "repros"
    if folder.is_symlink():
        raise UsageError(
            f"{folder} is a link.",
            "a run may be anybody's, and its links may lead anywhere.",
            "name a folder with --out.",
        )
    return folder


def write(made: Sequence[Repro], out: Path) -> list[Repro]:
    """Write the scripts into a folder, each as BACKEND--CLAUSE.py. Raises UsageError: it cannot be written; HarnessError: there is no room."""
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for repro in made:
            path = out / file_name(repro.finding)
            if repro.text:
                write_atomically(path, repro.text)
            written.append(dataclasses.replace(repro, path=path if repro.text else None))
    except OSError as error:
        kind = HarnessError if error.errno in FULL else UsageError
        raise kind(f"{out} cannot be written.", f"{error.strerror}.", "give --out a folder that can be.") from None
    return written


def file_name(finding: Finding) -> str:
    """BACKEND--CLAUSE.py; with the device where it is not the CPU."""
    place = "" if finding.device == "cpu" else f"@{finding.device}"
    return re.sub(r"[^\w.@-]", "-", f"{finding.backend}{place}--{finding.clause}") + ".py"


def run_all(written: Sequence[Repro], jobs: int, done: Callable[[Repro], None] = lambda repro: None) -> list[Repro]:
    """Run the scripts, ``jobs`` at a time; ``done`` is called with each when it has ended."""

    def one(repro: Repro) -> Repro:
        if repro.path is not None and not repro.vouched:
            reason = f"it imports or installs what only the run names; to run it, add --backend {repro.finding.backend}"
            repro = dataclasses.replace(repro, status="not run", reason=reason)
        elif repro.path is not None:
            outcome = run_again(repro.path, repro.finding)
            repro = dataclasses.replace(repro, status=outcome.status, outcome=outcome)
        done(repro)
        return repro

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        return list(pool.map(one, written))


def exit_status(made: Sequence[Repro]) -> int:
    """0: every finding has its script, and those that were run reproduce it; a backend without a writer has none to miss."""
    good = ("written", "reproduced", "no writer")
    return CONFORMS if all(r.status in good for r in made) else DEVIATES
