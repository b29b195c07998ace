"""A small run with one of everything: what conforms, deviates, crashes, declines and is absent, and what was timed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bnspec.contract import LayerConfig
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.records import (
    Comparison,
    Finding,
    Incident,
    Manifest,
    Record,
    Roof,
    RunFinished,
    TargetFinished,
    TargetRecord,
    Timing,
)
from bnspec.reports.run.store import RunWriter


@dataclasses.dataclass(frozen=True)
class StandInClause:
    """What the page asks of a clause."""

    id: str
    family: str
    level: str
    statement: str
    formula: str
    source: str


CLAUSES = {
    "training.output": StandInClause("training.output", "training", "MUST", "y is right.", "y = g z + b", "a paper"),
    "running.var": StandInClause(
        "running.var", "running", "SHOULD", "The variance moves.", "v' = d v", "another paper"
    ),
}
EVIDENCE = Evidence(
    step=0,
    call="training",
    relation="within_bound",
    output="y",
    index=(1, 0),
    expected=0.5,
    got=0.25,
    bound=0.125,
    ratio=2.0,
)
LINK = "https://example.org/report/7"
KNOWN = KnownDeviation(
    kind="documented difference",
    reason="documented by its authors.",
    conditions="a batch of one value",
    package="beta",
    versions=">=1,<2",
    link=LINK,
)
MANIFEST = Manifest(
    "run-1",
    "bnspec verify --seed 7",
    "2025-01-01T00:00:00+00:00",
    "0",
    7,
    "quick",
    {"cores": 2},
    {"numpy": "2"},
    {"jobs": 1},
)
FINISHED = RunFinished("2025-01-01T00:01:00+00:00", 1, {"total": 60.0})


def target(
    backend: str, device: str = "cpu", status: str = "ready", reason: str = "", **conventions: Any
) -> TargetRecord:
    """A target that declares ``conventions``."""
    return TargetRecord(backend, device, status, reason, backend, {backend: "1.0"}, conventions)


def finding(backend: str = "alpha", clause: str = "training.output", **changes: Any) -> Finding:
    """A finding that conforms, but for the changes."""
    clause_of = CLAUSES[clause]
    conforms = Finding(clause, clause_of.family, clause_of.level, backend, "cpu", "conforms", 3, 0, 0, 0.5)
    return msgspec.structs.replace(conforms, **changes)


def deviation(backend: str = "beta", clause: str = "training.output", **changes: Any) -> Finding:
    """A finding that deviates, but for the changes."""
    found = finding(backend, clause, verdict="deviates", failures=1, ratio=2.0, message="y is off", evidence=EVIDENCE)
    return msgspec.structs.replace(found, **changes)


def timing(backend: str = "alpha", **changes: Any) -> Timing:
    """A timing whose outputs conform, but for the changes."""
    timed = Timing(backend, "cpu", "training", (4, 2), "float32", 1, (100, 110, 130), 110.0, 900, 1, "conforms", 0.5)
    return msgspec.structs.replace(timed, **changes)


def comparison(candidate: str = "beta@cpu", **changes: Any) -> Comparison:
    """A comparison with alpha that is not decided, but for the changes."""
    undecided = Comparison(
        "training-4x2-axis1-float32", "alpha@cpu", candidate, 2, 1.05, 0.97, 1.13, 0.25, "AMBIGUOUS", 7, 1.12
    )
    return msgspec.structs.replace(undecided, **changes)


def roof(action: str = "copy", **changes: Any) -> Roof:
    """A roof of 1 GB/s at every size, but for the changes."""
    return msgspec.structs.replace(Roof("cpu", action, 1, 0, (1024, 2**20), (1e9, 1e9)), **changes)


def small_case() -> Case:
    """Four rows of two channels, every second one of a longer array."""
    x = np.arange(16, dtype=np.float32).reshape(8, 2)[::2]
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    arrays = {"x": x, "gamma": ones, "beta": zeros, "running_mean": zeros.copy(), "running_var": ones.copy()}
    config = LayerConfig(2, 1, 2, 1e-5, 0.9, "float32", "float32")
    return Case("batch_norm", config, arrays, (Step(TRAINING, ("x",)),), {"input_type": "ramp"})


def records(case: str | None = None) -> list[Record]:
    """One of everything; ``case`` is the saved case of the deviation."""
    return [
        target("alpha", running_correction=0, ranks=[2, 4]),
        target("beta", running_correction=1, ranks=[2, 4]),
        target("alpha", "cuda", "absent", "no driver was found"),
        finding("alpha"),
        finding("alpha", "running.var", verdict="declined", cases=0, declined=4, ratio=None),
        deviation("beta", case=case, shrunk=case),
        deviation(
            "beta", "running.var", ratio="inf", evidence=msgspec.structs.replace(EVIDENCE, ratio="inf"), known=(KNOWN,)
        ),
        Incident("beta", "cpu", "cases/0.json", "crashed", 0, "signal 11"),
        timing("alpha"),
        timing("beta", samples_ns=(200, 210, 9000), median_ns=210.0, verdict="deviates", ratio="inf"),
        timing(
            "gamma", samples_ns=(), median_ns=None, first_ns=None, verdict="declined", ratio=None, message="not offered"
        ),
        TargetFinished("alpha", "cpu", {"ok": 3, "declined": 4}, {"open": 1.0}),
    ]


def timed() -> list[Record]:
    """A small benchmark run: two processes, outputs that deviate, a probe that objects, and a row that is impossibly fast."""
    return [
        timing("alpha"),
        timing("alpha", process=1, samples_ns=(104, 112, 131), median_ns=112.0),
        timing("beta", samples_ns=(200, 210, 9000), median_ns=210.0, verdict="deviates", ratio="inf"),
        timing(
            "delta",
            verdict="rejected",
            probes={"computes_every_call": "it gave the old results", "depends_on_its_inputs": ""},
        ),
        timing("epsilon", moved_bytes=(1000, 1000)),
        roof("copy"),
        roof("read"),
        comparison(),
    ]


class Sample:
    """The builders above, for tests: conftest.py cannot be imported by name."""

    clauses, manifest, finished = CLAUSES, MANIFEST, FINISHED
    evidence, known = EVIDENCE, KNOWN
    target, finding, deviation, timing = map(staticmethod, (target, finding, deviation, timing))
    comparison, roof = map(staticmethod, (comparison, roof))
    small_case, records, timed = map(staticmethod, (small_case, records, timed))


@pytest.fixture
def sample() -> type[Sample]:
    """Builders of records."""
    return Sample


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run directory of these records, by default one of everything; returns its path."""

    def write(*listed: Record, name: str = "run", finished: bool = True) -> Path:
        with RunWriter.create(tmp_path / name, msgspec.structs.replace(MANIFEST, id=name)) as writer:
            for record in listed or records(writer.save_case(small_case())):
                writer.write(record)
            if finished:
                writer.write(FINISHED)
        return tmp_path / name

    return write
