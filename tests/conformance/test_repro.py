"""``bnspec repro``: findings made by hand, as scripts; run where their framework is installed."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.scripts.literals import NoScript, literal, numpy_expression
from bnspec.clauses import CLAUSES
from bnspec.cli import main
from bnspec.conformance.cases.layouts import LAYOUTS, lay_out
from bnspec.conformance.repro.assembly import join
from bnspec.conformance.repro.assertions import FORMS
from bnspec.conformance.repro.script import MAX_LINES, script, writers
from bnspec.contract import LayerConfig
from bnspec.model.buffers import dtype_of
from bnspec.model.call import CALLS, INFERENCE, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import KnownDeviation
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.records import Finding, RunFinished, TargetRecord
from bnspec.reports.run.store import RunWriter

KNOWN = KnownDeviation(kind="accuracy", reason="for a reason.", conditions="any", package="numpy", versions=">=1")
MODULES = {backend: backend.partition(".")[0] for backend in writers()}  # a name begins with its framework's
ALLOWED = {"sys", "numpy", *(package for folder in backend_folders() for package in folder.imports)}
every_backend = pytest.mark.parametrize("backend", sorted(writers()))


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


def rank_for(backend: str) -> int:
    """The fewest axes that the backend offers."""
    return 4 if backend == "tensorflow.fused" else 2


def element(backend: str, case: Case, output: str, error: float = 0.0, step: int = 0) -> Finding:
    """A finding on the last element of an output that is off by so many bounds, by the oracle."""
    conventions = Conventions(running_correction=int(backend.startswith(("torch", "tensorflow.fused"))))
    expected = Oracle(case).expect(case.steps[step], case.arrays, conventions)[output]
    index = [n - 1 for n in expected.value.shape]
    value, bound = (float(a[tuple(index)]) for a in (expected.rounded, expected.bounds["lenient"]))
    evidence = {
        "step": step,
        "call": case.steps[step].call,
        "relation": "within_bound",
        "output": output,
        "index": index,
        "got": "0.0",
    }
    evidence |= {"expected": repr(value + error * bound), "bound": repr(bound), "ratio": 2.0}
    return finding(backend, "training.output", "y is off", evidence)


def finding(backend: str, clause: str, message: str, evidence: dict[str, Any] | None, **changes: Any) -> Finding:
    """A deviation on the CPU."""
    told = CLAUSES[clause]
    found = Finding(clause, told.family, told.level, backend, "cpu", "deviates", 9, 1, 0, 2.0, message, evidence)
    return dataclasses.replace(found, **{"known": (KNOWN,), **changes})


def target(backend: str) -> TargetRecord:
    """The backend as a run has it on record."""
    return TargetRecord(backend, "cpu", "ready", "", "", {"torch": "2.0", "jax": "0.4", "keras": "3.0"}, {})


def text_of(found: Finding, case: Case) -> str:
    """The script, after it was seen to be what is promised: short, Python, and alone with its framework."""
    text = script(found, case, target(found.backend))
    assert len(text.splitlines()) <= MAX_LINES
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert {"sys", MODULES[found.backend]} <= imported <= ALLOWED
    return text


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run directory of one finding, with its case."""

    def make(found: Finding, case: Case) -> Path:
        with RunWriter.create(tmp_path / "run", new_manifest("verify", "test", 1, "quick", {})) as writer:
            writer.write(target(found.backend))
            path = writer.save_case(case)
            writer.write(msgspec.structs.replace(found, case=path, shrunk=path))
            writer.write(RunFinished("2025-01-01T00:00:00+00:00", 1, {}))
        return tmp_path / "run"

    return make


@every_backend
@pytest.mark.parametrize("call", ["training", "inference", "training_gradients", "inference_gradients"])
def test_a_script_of_every_call_is_short_and_stands_alone(backend: str, call: str) -> None:
    """At most 15 lines that import sys, NumPy and the framework; the numbers and the clause are in it."""
    inputs = CALLS[call].inputs
    case = case_of(Step(CALLS[call], inputs, True), rank=rank_for(backend))
    output = "dx" if len(inputs) == 2 else "y"
    found = element(backend, case, output)
    text = text_of(found, case)
    assert found.evidence is not None
    assert str(found.evidence.expected) in text
    assert str(found.evidence.bound) in text
    assert "training.output" in text
    assert f"{output}[2, 1" in text


LAWS: dict[str, tuple[str, dict[str, Any]]] = {
    "contract.shapes": ("y has shape (2,)", {"output": "y", "expected": "(3, 2)", "got": "(2,)"}),
    "dtype.results": ("y is float64", {"output": "y", "expected": "float32", "got": "float64"}),
    "training.finite": ("y is nan", {"output": "y", "index": [0, 0], "got": "nan", "expected": "1.0", "bound": "1.0"}),
    "training.repeatable": ("y differs in bits from step 0's", {"output": "y", "step": 1}),
    "training.ignores_running_state": (
        "y differs from step 0's, of the same x",
        {"output": "y", "step": 1, "index": [0, 0], "expected": "1.0", "got": "2.0", "bound": "0.1"},
    ),
    "inference.keeps_state": ("running_mean changed", {"output": "running_mean", "index": [0]}),
    "running.var_not_negative": ("running_var is -1.0", {"output": "running_var", "index": [1], "got": "-1.0"}),
    "affine.zero_gamma_gives_beta": ("y is 1.0 where gamma is 0", {"output": "y", "index": [0, 1]}),
    "degenerate.empty_batch": ("running_mean became nan", {"output": "running_mean", "index": [0]}),
    "degenerate.count_one": ("computed, but the conventions declares that it raises", {}),
    "special.nan_is_not_hidden": ("y is 1.0 in a channel with a NaN", {"output": "y", "index": [0, 1]}),
    "purity.arguments": ("wrote into x", {}),
    "purity.results_are_new": ("y shares memory with x", {}),
    "contract.accepts": ("raised ValueError: Expected more than 1 value", {}),
}


@every_backend
@pytest.mark.parametrize("clause", LAWS)
def test_a_law_has_a_look_of_its_own(backend: str, clause: str) -> None:
    """Bits, shapes, finiteness, memory and exceptions: each script says what came, last of all."""
    message, evidence = LAWS[clause]
    call = INFERENCE if clause.startswith("inference") else TRAINING
    steps = [Step(call, ("x",), True)] * (1 + evidence.get("step", 0))
    case = case_of(*steps, rank=rank_for(backend))
    if len(evidence.get("index", ())) == 2:
        evidence = {**evidence, "index": evidence["index"] + [0] * (rank_for(backend) - 2)}
    found = finding(backend, clause, message, {"step": 0, "call": call.name, **evidence})
    text = text_of(found, case)
    assert '"got' in text
    assert "sys.exit" in text


def test_every_form_is_of_a_clause() -> None:
    """A clause that is renamed leaves no form behind."""
    assert set(FORMS) <= set(CLAUSES)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_view_is_written_as_that_view(layout: str) -> None:
    """NumPy's words give the same values through the same strides."""
    array = lay_out(np.arange(1, 13, dtype=np.float32).reshape(2, 3, 2), layout, 1)
    value = literal("x", array)
    text = numpy_expression(value, '"float32"')
    again = eval(text, {"np": np})  # noqa: S307  # what was just written
    assert np.array_equal(again, array)
    assert again.strides == array.strides


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_values_are_written_exactly(dtype: str) -> None:
    """Read back they have the same bits, NaN, infinity and the sign of zero among them; also as bytes."""
    rng = np.random.RandomState(3)
    special = [[np.nan, np.inf, -np.inf, -0.0, 0.1, 1e-7]]
    for array in (np.array(special), rng.standard_normal((7, 6)), rng.standard_normal((20, 6))):
        given = array.astype(dtype)
        if given.nbytes * 2 > 1000:
            with pytest.raises(NoScript, match="values"):
                literal("x", given)
            continue
        text = numpy_expression(literal("x", given), repr(dtype))
        again = eval(text, {"np": np})  # noqa: S307  # what was just written
        assert np.array_equal(again, given, equal_nan=True)
        assert np.array_equal(np.signbit(again[0, 1:]), np.signbit(given[0, 1:]))


def test_lines_that_read_each_other_are_not_joined() -> None:
    """Joining saves lines and changes nothing."""
    lines = ["a = 1  # one", "b = 2", "c = a + 1", "with d: e", "f.g, h = 3, 4"]
    assert join(lines, 100) == ["a, b = 1, 2  # one", "c = a + 1", "with d: e", "f.g, h = 3, 4"]


@pytest.mark.parametrize(
    ("backend", "case", "why"),
    [
        ("numpy", case_of(), "no writer of standalone scripts exists for numpy"),
        ("torch.nn", case_of(*[Step(TRAINING_GRADIENTS, ("x", "dy"))] * 40), "lines, more than 15"),
    ],
)
def test_where_no_script_can_be_had_the_reason_is_told(backend: str, case: Case, why: str) -> None:
    """No script is better than a wrong one, and none is missing without a word."""
    evidence = {
        "step": len(case.steps) - 1,
        "output": "y",
        "index": [0, 0],
        "expected": "1.0",
        "got": "2.0",
        "bound": "0.1",
    }
    with pytest.raises(NoScript, match=why):
        script(finding(backend, "training.output", "y is off", evidence), case, target(backend))


def run(text: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as its reader would."""
    (place / "script.py").write_text(text)
    command = [sys.executable, "script.py"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("backend", ["torch.nn", "flax.nnx", "tensorflow.fused", "keras"])
def test_a_script_ends_with_1_on_the_deviation_and_with_0_without_it(backend: str, tmp_path: Path) -> None:
    """A framework that is right by the oracle passes; asked for another number by two bounds it does not."""
    if importlib.util.find_spec(MODULES[backend]) is None:
        pytest.skip(f"{MODULES[backend]} is not installed")
    step = Step(TRAINING_GRADIENTS, ("x", "dy"), True)
    case = case_of(step, rank=rank_for(backend), layout="stepped")
    for error, status in ((0.0, 0), (3.0, 1)):
        end = run(text_of(element(backend, case, "dx", error), case), tmp_path)
        assert end.returncode == status, end.stdout + end.stderr
        assert end.stdout.splitlines()[-1].startswith("got")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_laws_pass_where_they_hold(tmp_path: Path) -> None:
    """In one process: PyTorch breaks none of these on an ordinary case."""
    parts = []
    for clause in ("inference.keeps_state", "purity.arguments", "purity.results_are_new", "training.repeatable"):
        message, evidence = LAWS[clause]
        call = INFERENCE if clause.startswith("inference") else TRAINING
        if clause == "training.repeatable":
            evidence = {**evidence, "output": "running_var"}
        case = case_of(*[Step(call, ("x",), True)] * (1 + evidence.get("step", 0)))
        found = finding("torch.nn", clause, message, {"step": 0, "call": call.name, **evidence})
        parts.append(text_of(found, case).replace("sys.exit(", "assert not ("))
    end = run("".join(parts), tmp_path)
    assert (end.returncode, end.stderr) == (0, "")


def test_a_run_gets_a_file_for_each_deviation(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """BACKEND--CLAUSE.py in RUN/repros, and a document that names it; a named finding is printed instead."""
    case = case_of()
    path = make_run(element("torch.nn", case, "y"), case)
    assert main(["repro", str(path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["repros"]
    assert (row["status"], row["backend"], row["known"]) == ("written", "torch.nn", "accuracy: for a reason.")
    written = path / "repros" / "torch.nn--training.output.py"
    assert Path(row["script"]) == written
    assert main(["repro", f"{path}:training.output@torch.nn"]) == 0
    assert capsys.readouterr().out == written.read_text()
    assert main(["repro", str(path), "--clause", "training"]) == 0
    assert "torch.nn  training.output  accuracy  written" in capsys.readouterr().out


@pytest.mark.parametrize("planted", ["print('nothing')\n", "import sys\nprint('got 1')\nsys.exit(0)\n", "1 / 0\n"])
def test_what_does_not_reproduce_is_told_apart(
    planted: str, make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that ends before its look has failed, whatever its exit status; one that ends with 0 did not reproduce."""
    case = case_of()
    path = make_run(element("torch.nn", case, "y"), case)
    monkeypatch.setattr("bnspec.conformance.repro.scripts.script", lambda *_: planted)
    assert main(["repro", str(path), "--run", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["repros"]
    assert row["status"] == ("not reproduced" if "got" in planted else "failed")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "neither a run directory nor a finding"),
        (["RUN", "--backend", "torch.n"], "did you mean torch.nn?"),
        (["RUN", "--clause", "no.such"], "matches 'no.such'"),
        (["RUN:running.var@torch.nn"], "matches 'running.var'"),
        (["RUN:training.output@torch.nn", "--clause", "*"], "names clause and backend already"),
        ([], "--help"),
    ],
)
def test_a_wrong_call_is_refused(
    words: list[str], told: str, make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and a message that says what, why and how to fix it."""
    case = case_of()
    path = make_run(element("torch.nn", case, "y"), case)
    try:
        status = main(["repro", *(w.replace("RUN", str(path)) for w in words)])
    except SystemExit as end:
        status = int(str(end.code))
    said = capsys.readouterr().err
    assert status == 2
    assert told in said
    assert "Fix:" in said


def test_a_backend_without_a_writer_is_listed_and_refused_by_name(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Own adapters have no standalone script: the list says so, and who asks for one is told."""
    case = case_of()
    path = make_run(element("own:Adapter", case, "y"), case)
    assert main(["repro", str(path)]) == 0
    assert "no writer" in capsys.readouterr().out
    assert main(["repro", f"{path}:training.output@own:Adapter"]) == 2
    assert "has no standalone script" in capsys.readouterr().err
