"""The measurement: every spot on every backend, one worker per backend and thread count, one oracle for all of them."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np

from bnspec.backends.harness.launcher import Hello, Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.conformance.stability.data import FORMS, Form, Spot, case_of, inference_case, kappa_of, reached
from bnspec.conformance.stability.errors import OUTPUTS, REFERENCES, Errors, errors_of, scales
from bnspec.model.case import Case
from bnspec.model.conventions import HALVES, Conventions
from bnspec.model.observation import Observation
from bnspec.model.vocabulary import Status
from bnspec.oracle.oracle import Oracle

Array = np.ndarray
Progress = Callable[[str], None]

#: Seconds: the longest case has 2^21 values, and its first call may compile.
CASE_SECONDS = 300.0
#: The variables from which frameworks and their libraries read the number of threads, when a worker starts.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip


def thread_environment(threads: int) -> dict[str, str]:
    """The environment that sets the number of threads; 0 leaves it as it is. XLA offers only one thread or its own choice."""
    if not threads:
        return {}
    asked = dict.fromkeys(THREAD_VARIABLES, str(threads))
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        asked["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return asked


#: How a point ended; "unreachable": no channel of the stored data has the kappa that was asked.
PointStatus = Status | Literal["unreachable"]


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A backend with a thread count; ``threads`` 0 leaves the count to the environment; ``unset``: why it cannot have so many."""

    target: Target
    threads: int
    hello: Hello
    unset: str = ""

    @property
    def measurable(self) -> bool:
        """Whether it can be measured: it is open, and has the number of threads that was asked."""
        return self.hello.status == "ready" and not self.unset

    @property
    def name(self) -> str:
        """The backend, with its device and threads where they are not the usual ones."""
        device = "" if self.target.device == "cpu" else f"@{self.target.device}"
        return self.target.entry.name + device + (f" x{self.threads}" if self.threads else "")

    @property
    def conventions(self) -> Conventions:
        """The conventions; of a ready backend only."""
        assert self.hello.conventions is not None
        return self.hello.conventions

    def parameter_dtype(self, dtype: str) -> str:
        """The dtype of the parameters that go with x: float32 with a half-precision x wherever that is offered."""
        if dtype not in HALVES:
            return dtype
        return "float32" if "float32" in self.conventions.half_parameters else dtype

    def declines(self, form: Form, dtype: str) -> str:
        """Why the backend does not offer x of this form and dtype; empty where it does."""
        return self.conventions.declines(dtype, self.parameter_dtype(dtype), form.rank, form.channel_axis, affine=True)


@dataclasses.dataclass(frozen=True)
class Point:
    """One spot on one backend.

    Attributes:
        subject: its name.
        status, message: "ok" (with a message where one of its two calls was not), or how it ended: "declined", "error", "crashed", "timeout"; "unreachable": no channel of the
            stored data has the kappa that was asked.
        kappa: of each channel as stored; reached: whether that is what was asked.
        errors: by output; empty unless "ok".
    """

    subject: str
    spot: Spot
    status: PointStatus
    message: str
    kappa: Array
    reached: Array
    errors: dict[str, Errors]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data, numbers per channel; "inf" for what is not finite."""
        s = self.spot
        outputs = {
            name: {
                "dtype": e.dtype,
                "rms": _numbers(e.rms),
                "largest": _numbers(e.largest),
                **{tier: _numbers(e.bounds[tier]) for tier in REFERENCES},
            }
            for name, e in self.errors.items()
        }
        return {
            "backend": self.subject,
            "sweep": s.sweep,
            "asked": s.asked,
            "form": s.form.name,
            "dtype": s.dtype,
            "parameter_dtype": s.parameter_dtype,
            "seed": s.seed,
            "count": s.count,
            "status": self.status,
            **({"message": self.message} if self.message else {}),
            "kappa": _numbers(self.kappa),
            "reached": self.reached.tolist(),
            "outputs": outputs,
        }

    @property
    def unit(self) -> tuple[str | int, ...]:
        """Its name in the journal."""
        return unit_of(self.subject, self.spot)

    def kept(self) -> dict[str, object]:
        """All of it but its place, to the last digit, for the journal."""
        errors = {
            name: {"dtype": e.dtype, "rms": e.rms, "largest": e.largest, "bounds": dict(e.bounds)}
            for name, e in self.errors.items()
        }
        own = {"status": self.status, "message": self.message, "kappa": self.kappa, "reached": self.reached}
        return {**own, "errors": errors}

    @classmethod
    def recalled(cls, subject: str, spot: Spot, data: Mapping[str, Any]) -> Point:
        """The inverse of ``kept``, of data that a journal had."""
        errors = {
            name: Errors(
                _array(e["rms"]), _array(e["largest"]), {t: _array(e["bounds"][t]) for t in REFERENCES}, e["dtype"]
            )
            for name, e in data["errors"].items()
        }
        reached = np.array(data["reached"], dtype=bool)
        return cls(subject, spot, data["status"], data["message"], _array(data["kappa"]), reached, errors)


def unit_of(subject: str, spot: Spot) -> tuple[str | int, ...]:
    """The journal's name of a spot on a backend."""
    form = spot.form.name
    return "point", subject, spot.sweep, f"{spot.asked:.17g}", form, spot.dtype, spot.parameter_dtype, spot.seed


def _array(values: Sequence[float | str]) -> Array:
    return np.array([float(v) for v in values])


def _numbers(values: Array) -> list[float | str]:
    """Numbers of four digits; "inf" where there is none."""
    return [float(f"{v:.4g}") if math.isfinite(v) else "inf" for v in values.tolist()]


def unset_threads(subject: Subject, worker: Worker) -> str:
    """Why a backend that is ready declines this number of threads, by its own word; "" where it does not.

    One thread is left to the environment: what has no threads of its own runs on one.
    """
    if subject.threads <= 1 or subject.hello.status != "ready":
        return ""
    dtype = subject.conventions.dtypes[0]
    form = next((f for f in FORMS if not subject.declines(f, dtype)), None)
    if form is None:
        return ""
    plain = case_of(Spot("count", 4.0, form, dtype, subject.parameter_dtype(dtype), 0))
    (step,) = plain.steps
    threaded = plain.with_(steps=(dataclasses.replace(step, options=(("threads", subject.threads),)),))
    without, found = (worker.run(case, CASE_SECONDS).steps[0] for case in (plain, threaded))
    other = found.status == "declined" and (without.status, without.message) != (found.status, found.message)
    return found.message if other else ""


@contextlib.contextmanager
def opened(
    targets: Sequence[Target],
    threads: Sequence[int],
    progress: Progress,
    limits: Limits | None = None,
    asked: Sequence[int] = (),
) -> Iterator[dict[Subject, Worker]]:
    """A worker for each target and thread count, all open at once; those that did not open are among them.

    ``asked``: the thread counts that a person asked for, which a backend must be able to have.
    """
    with contextlib.ExitStack() as stack:
        workers: dict[Subject, Worker] = {}
        for target in targets:
            for n in threads:
                progress(f"opening {target.name}")
                environment = thread_environment(n)
                worker = stack.enter_context(
                    Worker(target.entry, target.device, limits=limits, environment=environment)
                )
                subject = Subject(target, n, worker.hello)
                unset = unset_threads(subject, worker) if n in asked else ""
                workers[dataclasses.replace(subject, unset=unset)] = worker
        yield workers


def measure(
    workers: dict[Subject, Worker],
    spots: Iterable[Spot],
    outputs: Sequence[str],
    progress: Progress,
    recalled: Callable[[str, Spot], Point | None] = lambda subject, spot: None,
) -> Iterator[Point]:
    """Every spot on every ready worker that offers its form and dtypes. ``recalled``: points of an interrupted study.

    Inference is asked only if it is among the outputs, and not for the count: nothing is reduced there.
    """
    ready = {s: w for s, w in workers.items() if s.measurable}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for spot in spots:
            asked = {
                s: w
                for s, w in ready.items()
                if s.parameter_dtype(spot.dtype) == spot.parameter_dtype and not s.declines(spot.form, spot.dtype)
            }
            known = [p for s in asked if (p := recalled(s.name, spot)) is not None]
            yield from known
            names = {p.subject for p in known}
            asked = {s: w for s, w in asked.items() if s.name not in names}
            if not asked:
                continue
            progress(f"{spot.dtype} {spot.sweep} {spot.asked:.3g}")
            case = case_of(spot)
            oracle = Oracle(case)
            kappa = kappa_of(oracle)
            hit = reached(spot.asked, kappa, spot.dtype) if spot.sweep == "kappa" else np.isfinite(kappa)
            if not hit.any():
                message = f"the {spot.dtype} data have kappa {', '.join(f'{k:.3g}' for k in kappa)}"
                yield from (Point(s.name, spot, "unreachable", message, kappa, hit, {}) for s in asked)
                continue
            oracles = [oracle]
            if spot.sweep == "kappa" and any(o.startswith("inference.") for o in outputs) and np.isfinite(kappa).all():
                oracles.append(Oracle(inference_case(oracle)))
            cases = [o.case for o in oracles]
            runs = {s: pool.submit(_run, w, cases) for s, w in asked.items()}
            for subject, run in runs.items():
                yield _point(subject, spot, oracles, run.result(), kappa, hit, outputs)


def _run(worker: Worker, cases: Sequence[Case]) -> list[Observation]:
    """One after the other: a worker runs one case at a time."""
    return [worker.run(case, CASE_SECONDS) for case in cases]


def _point(
    subject: Subject,
    spot: Spot,
    oracles: Sequence[Oracle],
    observations: Sequence[Observation],
    kappa: Array,
    hit: Array,
    outputs: Sequence[str],
) -> Point:
    """The judged point: "ok" where any of its cases gave results; how the others ended is its message."""
    found: dict[str, Errors] = {}
    ends: list[tuple[Status, str]] = []
    scale = scales(oracles[0], subject.conventions)
    for oracle, observation in zip(oracles, observations, strict=True):
        if observation.status == "ok":
            found.update(errors_of(oracle, observation, subject.conventions, scale))
        else:
            message = observation.message or (observation.steps[0].message if observation.steps else "")
            ends.append((observation.status, f"{oracle.case.steps[0].call}: {observation.status}: {message}"))
    kept = {n: found[n] for n in OUTPUTS if n in found and n in outputs}
    status = "ok" if kept or not ends else ends[0][0]
    return Point(subject.name, spot, status, "; ".join(text for _, text in ends), kappa, hit, kept)
