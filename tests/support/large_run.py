"""A made-up run of many findings: so many targets by so many clauses, a third of the findings deviations, with cases and causes.

python tests/support/large_run.py DIR 500 200      500 targets by 200 clauses: 100,000 findings
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import msgspec
import numpy as np

from bnspec.clauses import CLAUSES, Clause
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.layer import LayerConfig
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.records import Finding, Incident, RunFinished, TargetFinished, TargetRecord
from bnspec.reports.run.store import RunWriter

KNOWN = KnownDeviation(
    kind="bug", reason="its kernel reads x as packed.", conditions="a strided x", package="alpha", versions=">=1"
)
EVIDENCE = Evidence(
    step=0,
    call="training",
    relation="within_bound",
    output="y",
    index=(3, 1),
    expected=0.123456789,
    got=0.25,
    bound=1e-6,
    ratio=1e5,
)


def case_of(rng: np.random.Generator) -> Case:
    """Eight rows of two channels."""
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    arrays = {"x": rng.standard_normal((8, 2)).astype(np.float32), "gamma": ones, "beta": zeros}
    arrays |= {"running_mean": zeros.copy(), "running_var": ones.copy()}
    config = LayerConfig(2, 1, 2, 1e-5, 0.9, "float32", "float32")
    return Case("batch_norm", config, arrays, (Step(TRAINING, ("x",), True),), {"purpose": "a large run"})


def clause(number: int) -> Clause | tuple[str, str, str]:
    """A clause of the specification; beyond these one that is made up, as (id, family, level)."""
    known = list(CLAUSES.values())
    return known[number] if number < len(known) else (f"made_up.clause_{number}", "made_up", "SHOULD")


def write_large_run(path: Path, targets: int, clauses: int, cases: int = 200) -> None:
    """Write the run directory."""
    draw, rng = random.Random(1), np.random.default_rng(1)
    with RunWriter.create(path, new_manifest("verify", "bnspec verify", 1, "standard", {})) as writer:
        saved = [writer.save_case(case_of(rng)) for _ in range(cases)]
        lines = []
        for t in range(targets):
            backend = f"framework{t % 37}.layer{t}"
            versions = {f"framework{t % 37}": f"{t}.0"}
            lines.append(
                TargetRecord(backend, "cpu", "ready", "", f"framework{t % 37}", versions, {"running_correction": t % 2})
            )
            deviating = []
            for c in range(clauses):
                of = clause(c)
                name, family, level = of if isinstance(of, tuple) else (of.id, of.family, of.level)
                finding = Finding(name, family, level, backend, "cpu", "conforms", 40, 0, 2, draw.random())
                if draw.random() < 1 / 3:
                    message = f"y[3, 1] of training is 0.25, expected 0.123456789, {draw.random():.3g} times the bound"
                    case = draw.choice(saved)
                    known = (KNOWN,) if draw.random() < 0.5 else ()
                    changes = dict(verdict="deviates", failures=7, ratio=1e5 * draw.random() + 2, message=message)
                    finding = msgspec.structs.replace(
                        finding, **changes, evidence=EVIDENCE, case=case, shrunk=case, known=known
                    )
                    deviating.append(finding)
                lines.append(finding)
            for f in deviating[::4]:
                also = tuple(g.clause for g in deviating if g is not f)[:3]
                condition = Condition("layout of x", "strided", "packed")
                lines.append(
                    Cause(
                        f.clause, f.family, f.level, backend, "cpu", also, (condition,), f.known, f.message, f.case, 40
                    )
                )
            lines.append(Incident(backend, "cpu", saved[0], "crashed", 0, "killed by SIGSEGV"))
            lines.append(TargetFinished(backend, "cpu", {"ok": 40 * clauses}, {"open": 1.0}))
        for record in lines:
            writer.write(record)
        writer.write(RunFinished("2026-01-01T00:00:00+00:00", 1, {"wall": 100.0, "hypothesis_cpu": 1.0}))


if __name__ == "__main__":
    write_large_run(Path(sys.argv[1]), *(int(n) for n in sys.argv[2:]))
