"""A kernel judged as it comes: opened, its conventions inferred, judged by them on data of a fresh seed, and timed."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bnspec.backends.harness.compilation_cache import open_cache
from bnspec.backends.harness.interruption import check, stoppable
from bnspec.backends.harness.launcher import PATIENT, Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.backends.kernels.harness.forms import PYTHON, SOLUTION
from bnspec.backends.kernels.harness.found import Found, completed, found_of
from bnspec.backends.kernels.harness.housing import housed
from bnspec.backends.kernels.harness.recognise import FILE_BYTES, Recognised, content, recognise
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.procedure import NO_BACKWARD
from bnspec.backends.worker.forward_only import NO_GRADIENTS
from bnspec.clauses import Clause
from bnspec.conformance.cases.effort import EffortName, cases_of
from bnspec.conformance.conventions.inferred import InferredConventions
from bnspec.conformance.conventions.plan import Inference
from bnspec.conformance.conventions.records import convention_records
from bnspec.conformance.judge.collector import with_answers
from bnspec.conformance.kernels.asked import cases_for, clauses_for, in_order
from bnspec.conformance.kernels.blocks import block_cases
from bnspec.conformance.kernels.budget import SECONDS, Budget
from bnspec.conformance.kernels.conventions import inferred, judged_by, other_direction
from bnspec.conformance.kernels.fixed import fixed, fixed_cases, fixed_forms
from bnspec.conformance.kernels.timings import timed, usual_form
from bnspec.conformance.kernels.verdict import Verdict, declined, status_of
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.run import run_targets
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.verify import needed, reported
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.vocabulary import TargetStatus
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import Finding, Manifest, RunFinished, Timing
from bnspec.reports.run.store import RunWriter, read_run, take_away
from bnspec.reports.run.vocabulary import FAILING
from bnspec.terminal.progress import Progress

#: Time for shrinking one clause's case and for the causes: a kernel that is all wrong breaks sixty clauses.
SHRINK_SECONDS, CAUSE_SECONDS = 0.25, 3.0

#: The clauses that speak of what a forward pass computes.
OUTPUTS = ("training.output", "inference.output")
#: Reasons that are said where nothing was judged.
REASONS = 3
#: The adapter that compiles Triton's kernels in place of running them.
TRITON_LISTING = "bnspec.backends.kernels.triton_listing:TritonListing"

#: What a kernel that does not open did, and what to do: it was loaded, and called with a small x of each form.
LOADED = "make it load and return for one small batch of each form first: x of rank 2 to 5, parameters of shape (C,)."
FAR = "; raw memory lies between pages that nothing may touch, so a kernel that reads or writes far beside an array ends there"
UNREADY: dict[TargetStatus, tuple[str, str]] = {
    "absent": ("its device is not here", "name another --device."),
    "unavailable": ("what it imports is not here", "install it, or name another --device."),
    "unbuilt": ("its environment cannot be built", "install what it needs, and judge it again."),
    "broken": ("it raised when it was loaded and tried", LOADED),
    "crashed": ("its process ended when it was loaded and tried", LOADED),
    "timeout": ("it did not return when it was loaded and tried", f"{LOADED[:-1]}; or allow it more: --open-seconds."),
}


#: Words in a kernel's file, and the limits of its worker to open and for a case: one that hangs should not keep anybody waiting. A compiler
#: has its time, and an interpreter more than the others.
LIMITS: Sequence[tuple[Sequence[bytes], float, float]] = (
    ((b"compile",), 180.0, 60.0),
    ((b"triton", b"pallas"), 90.0, 60.0),
    ((b"",), 50.0, 30.0),
)
#: A case is not asked if it is likely to take more than this part of its limit: an estimate may be too low.
SAFELY = 0.125


def limits_for(thing: str, given: Mapping[str, float | None]) -> Limits:
    """The limits for a kernel, but for those that are given."""
    file = Path(thing.partition("::")[0])
    text = content(file, FILE_BYTES) if file.suffix in PYTHON and file.is_file() else b""
    if file.suffix in SOLUTION:  # its sources may be compiled, whatever they say
        text = LIMITS[0][0][0]
    opening, case = next((o, c) for words, o, c in LIMITS if any(word in text for word in words))
    usual = {"open_seconds": opening, "case_seconds": case}
    return Limits.of({**usual, **{n: v for n, v in given.items() if v is not None}})


@dataclass(frozen=True)
class JudgeRequest:
    """The arguments of ``bnspec judge``. ``cases``: in place of those of the effort; ``time``: whether its passes are timed."""

    thing: str
    seed: int
    device: str = "cpu"
    effort: EffortName = "quick"
    jobs: int = 2
    clauses: Sequence[str] = ()
    out: Path | None = None
    limits: Limits = field(default_factory=Limits)
    cases: Sequence[Case] | None = None
    time: bool = True


@dataclass(frozen=True)
class Opened:
    """A kernel with what the experiments found; ``said``: what its worker said of it; ``environment``: of every worker of it."""

    recognised: Recognised
    inferred: InferredConventions
    said: Found
    environment: dict[str, str]

    @property
    def inference(self) -> Inference:
        """What the experiments found."""
        return self.inferred.inference


def judge(request: JudgeRequest, command: str, quiet: bool = False) -> Verdict:
    """The verdict on it, which may be that nothing of what is asked was judged: see ``refuse_unjudged``.

    Raises UsageError: the kernel is not there, in no known form, or does not open or return. Then no run directory is left.
    """
    recognised = recognise(request.thing)
    with (
        stoppable(),
        Progress(quiet) as progress,
        tempfile.TemporaryDirectory(prefix="bnspec-judge-", ignore_cleanup_errors=True) as folder,
    ):
        recognised = recognised.with_kernel(dataclasses.replace(recognised.kernel, folder=folder))
        recognised = housed(recognised, lambda doing: progress.update(recognised.entry.name, doing))
        target = Target(recognised.entry, request.device)
        progress.update(target.name, "inferring conventions")
        opened = opened_and_inferred(target, recognised, request)
        conventions = judged_by(opened.inference, opened.recognised.kernel)
        kernel = dataclasses.replace(opened.recognised.kernel, conventions=conventions.to_json())
        clauses = clauses_for(request.clauses)
        forms = fixed_forms(kernel, conventions)
        settings = RunSettings(
            with_answers(clauses),
            SHRINK_SECONDS,
            0.0 if kernel.interpreted else CAUSE_SECONDS,  # one experiment takes longer
            limits=request.limits,
            jobs=request.jobs,
            assist=False,  # a second worker would draw all cases at once, and the time of each is not known before it has run
            histories=False,
            environment={**opened.environment, **kernel.variable()},
        )
        with RunWriter.create(request.out, manifest_of(request, opened, settings.clauses, command)) as writer:
            for convention in convention_records(opened.inferred, writer):
                writer.write(convention)
            source = cases_of(request.effort, request.seed) if request.cases is None else request.cases
            if forms and (request.cases is None or fixed(kernel)):
                others = () if fixed(kernel) else source
                source = itertools.chain(others, fixed_cases(forms, kernel.epsilon, request.seed))
            asked: Iterable[Case] = needed(cases_for(source), clauses)
            budget = Budget(SECONDS[request.effort], SAFELY * request.limits.case_seconds)
            if request.cases is None:
                around = () if fixed(kernel) else block_cases(conventions, request.seed, kernel.epsilon)
                asked = in_order(list(asked), list(needed(around, clauses)), clauses, conventions)
                asked = budget.within(asked, conventions)
            cases = CasePool(asked, budget.took)
            findings = run_targets([target], cases, settings, writer, reported(progress))[target]
            timings: list[Timing] = []
            if request.time:
                progress.update(target.name, "timing")
                alone = dataclasses.replace(kernel, watched=False).variable()
                form = (
                    forms[-1] if fixed(kernel) else usual_form(conventions, bool(kernel.interpreted or budget.left_out))
                )
                environment = {**opened.environment, **alone}
                timings = timed(target, request.limits, environment, form, kernel.epsilon, request.seed)
                writer.write(*timings)
            compiled = None
            if kernel.interpreted == "triton":
                progress.update(target.name, "compiling for devices that are not here")
                compiled = compiled_and_not_run(target, kernel, request)
            status = status_of(findings, timings)
            check()
            writer.write(RunFinished(finished_now(), status, {"wall": writer.at, "hypothesis_cpu": cases.seconds}))
        run = read_run(writer.path)
        return Verdict(
            opened.recognised, request.seed, run, opened.inference, conventions, compiled, budget, opened.said
        )


def refuse_unjudged(verdict: Verdict, patterns: Sequence[str]) -> None:
    """Raise UsageError where nothing of what is asked was judged: that is no grade. Then its run is taken away."""
    if why := unjudged(verdict.run.findings, [c.id for c in clauses_for(patterns)]):
        take_away(verdict.run.path)
        raise UsageError(
            f"nothing that {verdict.recognised.entry.name} computes was judged.",
            f"{why}.",
            "choose other clauses, or a form of x that cases have.",
        )


def unjudged(findings: Sequence[Finding], asked: Sequence[str]) -> str:
    """Why nothing that was asked was judged, nor its results where they were asked about: that is no grade; "" where it is one."""
    of = [f for f in findings if f.clause in asked]
    of = [f for f in of if f.clause in OUTPUTS] or of
    if not of or any(f.cases for f in of) or any(f.verdict in FAILING for f in findings):
        return ""
    if closed := next((f.message for f in of if f.verdict == "unavailable"), ""):
        return f"it opened once, and then no more: {closed}"
    reasons = declined(of)
    # of a case with gradients, the first call that is declined gives the reason: what is said of the forward pass decides
    forward = [r for r in reasons if not r["reason"].startswith((NO_BACKWARD, NO_GRADIENTS))] or reasons
    return "; ".join(str(r["reason"]) for r in forward[:REASONS]) or "no case has its form"


def opened_and_inferred(target: Target, recognised: Recognised, request: JudgeRequest) -> Opened:
    """The kernel's conventions, by experiment; a momentum that weighs the old value is handed over as one."""
    cache = open_cache()
    kernel, turned = recognised.kernel, False
    while True:
        environment = {**PATIENT, **cache.environment, **kernel.variable()}
        with ready(target, request.limits, environment) as worker:
            said = found_of(worker.hello.details)
            kernel = completed(kernel, said)
            inference = inferred(worker)
            opened = InferredConventions(
                target.entry.name,
                target.device,
                worker.hello.versions,
                inference,
                str(worker.hello.details.get("framework", "")),
            )
        again = None if turned else other_direction(inference, kernel)
        if again is None:
            return Opened(recognised.with_kernel(kernel), opened, said, dict(cache.environment))
        kernel, turned = again, True


def compiled_and_not_run(target: Target, kernel: Kernel, request: JudgeRequest) -> Found:
    """What a kernel of Triton is for devices that are not here. It says nothing of its results, and changes no grade."""
    entry = dataclasses.replace(target.entry, adapter=TRITON_LISTING)
    alone = dataclasses.replace(kernel, interpreted="").variable()
    cache = {"TRITON_CACHE_DIR": str(Path(kernel.folder) / "triton")}
    try:
        with Worker(entry, "cpu", limits=request.limits, environment={**alone, **cache}) as worker:
            hello = worker.hello
            return found_of(hello.details) if hello.status == "ready" else Found(failed=hello.reason)
    except UsageError as error:
        return Found(failed=f"{error.what} {error.why}".strip())


def ready(target: Target, limits: Limits, environment: dict[str, str]) -> Worker:
    """A worker of the kernel that is ready. Raises UsageError: its framework or device is not here, or it breaks, ends or hangs."""
    worker = Worker(target.entry, target.device, limits=limits, environment=environment)
    hello = worker.hello
    if hello.status == "ready":
        return worker
    worker.stop()
    what, fix = UNREADY[hello.status]
    why = hello.reason.rstrip(".") + (FAR if "SIGSEGV" in hello.reason or "SIGBUS" in hello.reason else "")
    raise UsageError(f"{target.name} cannot be judged: {what}.", f"{why}.", fix)


def manifest_of(request: JudgeRequest, opened: Opened, clauses: Sequence[Clause], command: str) -> Manifest:
    """The manifest: what was judged, by its contents too."""
    kernel = opened.recognised.kernel
    options = {
        "targets": [f"{opened.recognised.entry.name}@{request.device}"],
        "clauses": [c.id for c in clauses],
        "kernel": {
            "form": kernel.form,
            "arrays": kernel.arrays,
            "interpreted": kernel.interpreted,
            "sha256": digest(Path(kernel.path)),
        },
        "jobs": request.jobs,
        "limits": request.limits.to_json(),
    }
    return new_manifest("judge", command, request.seed, request.effort, options)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
