"""A run over several releases: an ordinary verification, whose targets are in environments."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnspec import cli
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.registry import Entry
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.releases.backends import within_releases
from bnspec.conformance.releases.extra_measurements import conventions, stability
from bnspec.conformance.releases.selection import Choice, chosen
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.reports.run.store import Run


@dataclass(frozen=True)
class Asked:
    """The arguments of ``bnspec releases``."""

    specs: Sequence[str]
    choice: Choice = field(default_factory=Choice)
    backends: Sequence[str] = ()
    devices: Sequence[str] = ()
    clauses: Sequence[str] = ()
    effort: EffortName = "quick"
    seed: int = 1
    jobs: int = 2
    out: Path | None = None
    resume: Path | None = None
    limits: Limits = field(default_factory=Limits)
    conventions: bool = False
    stability: bool = False


@dataclass(frozen=True)
class Done:
    """The run, its exit status, and the backends in their releases."""

    run: Run
    status: int
    entries: Sequence[Entry]


def verify_releases(asked: Asked, command: str, quiet: bool = False) -> Done:
    """Run it. Raises UsageError: a specification or a backend that is wrong; HarnessError: the index cannot be read."""
    entries = within_releases(chosen(asked.specs, asked.choice), asked.backends)
    request = VerifyRequest(
        [e.name for e in entries],
        asked.devices,
        asked.clauses,
        asked.effort,
        asked.seed,
        asked.jobs,
        out=asked.out,
        resume=asked.resume,
        limits=asked.limits,
        absent=["*"],  # what a release does not have is what the run is about
    )
    extra = [conventions(asked.limits)] if asked.conventions else []
    extra += [stability(asked.seed, command, asked.limits)] if asked.stability else []
    run, status = verify(request, command, quiet, extra)
    return Done(run, status, entries)


def bench_releases(done: Done, asked: Asked) -> int:
    """Time what is ready, with NumPy as the control that no release moves; returns the exit status of ``bnspec bench``."""
    opened = [t.backend for t in done.run.targets if t.status == "ready"]
    words = [f"--backend={name}" for name in ("numpy", *opened)] + [f"--device={d}" for d in asked.devices]
    out = done.run.path.with_name(f"{done.run.path.name}-times")
    call = ["bench", *words, "--baseline=numpy", f"--seed={asked.seed}", f"--out={out}"]
    with contextlib.redirect_stdout(sys.stderr):  # standard output holds what this command prints
        return cli.main(call)
