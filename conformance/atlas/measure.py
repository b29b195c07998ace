"""One release measured: its backends verified and their conventions inferred, in an environment of its own."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.environment import Environment
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.spec import EnvironmentSpec, parse
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import select
from bnspec.backends.harness.targets import Target
from bnspec.conformance.atlas.pair import Measured
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.conventions.infer import infer_conventions
from bnspec.conformance.conventions.records import write_conventions
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.errors import UsageError
from bnspec.reports.atlas import extract
from bnspec.reports.run.merge import merge
from bnspec.reports.run.store import Run, read_run


@dataclass(frozen=True)
class Job:
    """A release to measure.

    Attributes:
        spec: its environment, the release itself first: "flax==0.8.5,jax==0.4.30"; backends: base names.
        effort, seed: of the verification; raw: the folder of its run directories, which stay out of git.
    """

    spec: EnvironmentSpec
    backends: tuple[str, ...]
    effort: EffortName
    seed: int
    raw: Path

    @property
    def package(self) -> str:
        """The package that the spec pins first."""
        return next(iter(self.spec.pinned))

    @property
    def release(self) -> str:
        """Its release."""
        return str(self.spec.pinned[self.package])

    @property
    def folder(self) -> Path:
        """Where its run directories are."""
        return self.raw / f"{self.package}-{self.release}"

    @property
    def targets(self) -> list[Target]:
        """Its backends in its environment."""
        return [Target(e, "cpu") for e in select([f"{name}[{self.spec.text}]" for name in self.backends])]


def job_of(text: str, backends: tuple[str, ...], effort: EffortName, seed: int, raw: Path) -> Job:
    """A job. Raises UsageError: the specification does not pin a release first."""
    spec = parse(text)
    if not spec.requirements or "==" not in spec.requirements[0]:
        raise UsageError(f"{text!r} names no release.", "an entry of the atlas is of one.", "write jax==0.4.20.")
    return Job(spec, backends, effort, seed, raw)


def measure(job: Job, domains: Mapping[str, str]) -> Measured:
    """Measure a release, or read what was measured of it. Raises NotBuilt: it cannot be installed."""
    environment = obtain(job.spec)
    runs = [_verified(job), *_conventions(job)]
    merged = merge(runs)
    entry = extract.entry_of(merged, job.package, job.release, _environment(environment), domains)
    opens = {t.entry.base: functools.partial(Worker, t.entry, t.device) for t in job.targets}
    return Measured(entry, merged, opens)


def _environment(environment: Environment) -> extract.Environment:
    if environment.packages is None:
        raise NotBuilt("it is a Python that was there, whose packages nobody has locked")
    return extract.Environment(environment.version, environment.packages, environment.lock)


def _verified(job: Job) -> Run:
    """The run of verify; one that was cut short is gone on with."""
    place = job.folder / "verify"
    if place.exists() and (found := read_run(place)).complete:
        return found
    names = [t.entry.name for t in job.targets]
    # what a deviation needs of its process is seen when its case is run again, in new ones; here it would open one each
    request = VerifyRequest(names, ["cpu"], [], job.effort, job.seed, jobs=1, histories=False)
    request = replace(request, resume=place) if place.exists() else replace(request, out=place)
    run, _ = verify(request, f"bnspec verify --backend {' --backend '.join(names)}", quiet=True)
    return run


def _conventions(job: Job) -> list[Run]:
    """The conventions of each backend that opens."""
    found = []
    for number, target in enumerate(job.targets):
        place = job.folder / f"conventions-{number}"
        if place.exists():
            run = read_run(place)
            if run.complete:
                found.append(run)
                continue
            shutil.rmtree(place)
        started = time.perf_counter()
        with Worker(target.entry, target.device) as worker:
            if worker.hello.status != "ready":
                continue
            inferred = infer_conventions(target, worker)
        seconds = round(time.perf_counter() - started, 1)
        path = write_conventions(inferred, None, place, f"bnspec conventions {target.entry.name}", 0, seconds)
        found.append(read_run(path))
    return found
