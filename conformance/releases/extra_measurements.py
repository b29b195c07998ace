"""Extra measurements of releases besides their verdicts: conventions and stability, into the same run."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.interruption import check
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.conformance.conventions.infer import infer_conventions
from bnspec.conformance.conventions.records import convention_records
from bnspec.conformance.run.verify import ExtraMeasurement
from bnspec.conformance.stability.records import point_record, records
from bnspec.conformance.stability.run import StabilityRequest, study
from bnspec.reports.run.store import RunWriter
from bnspec.terminal.progress import Progress

#: Every output that stability is measured of.
OUTPUTS = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var", "inference.y", "inference.dx")


def conventions(limits: Limits) -> ExtraMeasurement:
    """Infer the conventions of every target that is ready."""

    def infer(targets: Sequence[Target], writer: RunWriter, progress: Progress) -> None:
        had = set() if writer.resumed is None else {(c.backend, c.device) for c in writer.resumed.conventions}
        for target in targets:
            if (target.entry.name, target.device) in had:
                continue
            check()
            progress.update(target.name, "inferring conventions")
            with Worker(target.entry, target.device, limits=limits) as worker:
                if worker.hello.status != "ready":
                    continue
                found = list(convention_records(infer_conventions(target, worker), writer))
            writer.write(*found)
            writer.done("conventions", target.entry.name, target.device)
            progress.end(target.name, "conventions inferred")

    return infer


def stability(seed: int, command: str, limits: Limits) -> ExtraMeasurement:
    """Measure the stability class of every target that is ready, at quick effort, one after the other."""

    def measure(targets: Sequence[Target], writer: RunWriter, progress: Progress) -> None:
        had = set() if writer.resumed is None else {(c.backend, c.device) for c in writer.resumed.stability_curves}
        for target in targets:
            place = target.entry.name, target.device
            if place in had:
                continue
            check()
            progress.update(target.name, "measuring stability")
            asked = StabilityRequest(
                [place[0]], [target.device], ("float32",), OUTPUTS, (), seed, "quick", command, limits=limits
            )
            done = study(asked, quiet=True)
            subjects = {s.name: s for s in done.subjects}
            writer.write(*(point_record(subjects[p.subject], p) for p in done.points), *records(done))
            writer.done("stability", *place)
            progress.end(target.name, "stability measured")

    return measure
