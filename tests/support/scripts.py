"""Findings made by hand, and their scripts: checked to be what is promised, and run."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from packaging.requirements import Requirement

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.registry import registered
from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter
from bnspec.backends.harness.scripts.statements import COLUMNS, count
from bnspec.clauses import CLAUSES
from bnspec.conformance.cases.layouts import lay_out
from bnspec.conformance.repro.script import MAX_STATEMENTS, script, writers
from bnspec.contract import LayerConfig
from bnspec.model.buffers import dtype_of
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.records import Finding, TargetRecord

ADAPTERS = {entry.name: entry.adapter for entry in registered()}
#: What the scripts of a backend may import to be of its framework: what its folder's adapters do, or what its name begins with.
MODULES = {
    backend: {
        backend.partition(".")[0],
        *(
            n
            for f in backend_folders()
            if ADAPTERS[backend].startswith(f"bnspec.backends.{f.name}.")
            for n in f.imports
        ),
    }
    for backend in writers()
}
#: What a script may import: the frameworks, by import name or, where this program imports one itself, by package.
ALLOWED = {
    "numpy", "scipy",
    *(name for folder in backend_folders() for name in (*folder.imports, *(Requirement(p).name for p in folder.packages))),
}  # fmt: skip
WITH_LAYERS = sorted(b for b, w in writers().items() if not issubclass(w, RowsWriter))


def not_installed(backend: str) -> str:
    """The first of the modules that the scripts of a backend need, and which is not installed; "" where all are."""
    return next((name for name in sorted(MODULES[backend]) if importlib.util.find_spec(name) is None), "")


ACCURACY = KnownDeviation(
    kind="accuracy",
    reason="for a reason.",
    conditions="always",
    package="torch",
    versions=">=2",
    link="https://example.org",
)


def case_of(*steps: Step, dtype: str = "float32", rank: int = 2, layout: str = "packed", affine: bool = True) -> Case:
    """Three rows of two channels, nothing default."""
    shape = (3, 2) + (1,) * (rank - 2)
    values = np.array([[1.5, -2.0], [0.25, 4.0], [3.0, 7.5]]).reshape(shape).astype(dtype_of(dtype))
    arrays = {"x": lay_out(values, layout, 1), "dy": values[::-1].copy()}
    arrays["x[1:2]"] = arrays["x"][1:2]
    parameters = {"gamma": [0.5, 2.0], "beta": [-1.0, 0.25], "running_mean": [0.5, 1.0], "running_var": [2.0, 4.0]}
    arrays |= {n: np.array(v, np.float32) for n, v in parameters.items() if affine or n.startswith("running")}
    config = LayerConfig(rank, 1, 2, 0.001, 0.75, dtype, "float32", affine)
    return Case("batch_norm", config, arrays, steps or (Step(TRAINING, ("x",), True),))


def finding(backend: str, clause: str, evidence: Evidence | None, **changes: Any) -> Finding:
    """A deviation on the CPU."""
    of = CLAUSES[clause]
    found = Finding(clause, of.family, of.level, backend, "cpu", "deviates", 9, 1, 0, 2.0, "the message", evidence)
    return msgspec.structs.replace(found, **{"known": (ACCURACY,), **changes})


def target(backend: str) -> TargetRecord:
    """The backend as a run has it on record."""
    return TargetRecord(backend, "cpu", "ready", "", "", {"torch": "2.0", "jax": "0.4", "keras": "3.0"}, {})


def text_of(found: Finding, case: Case) -> str:
    """The script, after it was checked to be what is promised: short, legible, Python, and alone with its framework."""
    text = script(found, case, target(found.backend))
    assert_form(text)
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported <= ALLOWED
    framework = found.backend.partition(".")[0]
    assert MODULES[found.backend] & imported or f"tf.{framework}." in text
    return text


def refusal(backend: str, found: Finding, case: Case) -> str:
    """Why there is no script; "" where there is one."""
    try:
        script(found, case, target(backend))
    except NoScript as reason:
        return str(reason)
    return ""


def undefined(tree: ast.Module) -> set[str]:
    """Names that the script reads and neither binds nor imports: it would end before it shows anything."""
    read, bound = set(), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound


def assert_form(text: str) -> None:
    """At most 15 statements, one a line, at most 100 columns; a header of whole sentences above them."""
    lines = text.splitlines()
    assert max(map(len, lines)) <= COLUMNS == 100
    tree = ast.parse(text)
    assert not undefined(tree)
    found = [n for n in ast.walk(tree) if isinstance(n, (ast.stmt, ast.excepthandler))]
    assert count(text) == len(found) <= MAX_STATEMENTS == 15
    begins = [n.lineno for n in found]
    assert len(begins) == len(set(begins)), "two statements begin in one line"
    for node in found:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            assert not isinstance(node.value, ast.Tuple) or "other" in ast.unparse(node), "joined assignments"
    head = lines[: lines.index("")]
    assert all(line.startswith("# ") for line in head)
    sentences = " ".join(line[2:] for line in head)
    assert sentences[0].isalnum()
    for word in ("deviates from", "The clause is a", "xpected"):
        assert word in sentences, sentences


def run(text: str, place: Path, environment: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script as its reader would."""
    (place / "script.py").write_text(text)
    command = [sys.executable, "script.py"]
    variables = dict(v.split("=") for v in environment.split())
    return subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
