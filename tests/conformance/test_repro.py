"""``bnspec repro``: findings made by hand, as scripts; run where their framework is installed."""

from __future__ import annotations

import ast
import collections
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.registry import registered
from bnspec.backends.harness.scripts.literals import NoScript, literal, numpy_expression
from bnspec.backends.harness.scripts.statements import COLUMNS, Statement, block, count, source, statements
from bnspec.cli import main
from bnspec.conformance.cases.layouts import LAYOUTS, lay_out
from bnspec.conformance.repro import assertions
from bnspec.conformance.repro.assertions import ASSERTIONS
from bnspec.conformance.repro.script import script, writers
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS, Call
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Evidence, KnownDeviation, Relation
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.records import Finding, RunFinished
from bnspec.reports.run.store import RunWriter
from tests.support.scripts import (
    ACCURACY,
    WITH_LAYERS,
    case_of,
    finding,
    not_installed,
    refusal,
    run,
    target,
    text_of,
)

KNOWN = KnownDeviation(kind="accuracy", reason="for a reason.", conditions="any", package="numpy", versions=">=1")


def rank_for(backend: str) -> int:
    """The fewest axes that the backend offers."""
    return (
        4
        if backend.startswith(("tensorflow.fused", "torch.mkldnn"))
        else 3
        if backend == "torch.channels_last" or "folded" in backend
        else 2
    )


def element(backend: str, case: Case, output: str, error: float = 0.0, step: int = 0) -> Finding:
    """A finding on the last element of an output that is off by so many bounds, by the oracle."""
    conventions = Conventions(running_correction=int(backend.startswith(("torch", "tensorflow.fused"))))
    expected = Oracle(case).expect(case.steps[step], case.arrays, conventions)[output]
    index = [n - 1 for n in expected.value.shape]
    value, bound = (float(a[tuple(index)]) for a in (expected.rounded, expected.bounds["lenient"]))
    evidence = Evidence(
        step=step,
        call=case.steps[step].call.name,
        relation="within_bound",
        output=output,
        index=tuple(index),
        expected=value + error * bound,
        got=0.0,
        bound=bound,
        ratio=2.0,
    )
    return finding(backend, "training.output", evidence)


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


def calls_of(backend: str) -> list[Call]:
    """The calls that its scripts perform."""
    gradients = [TRAINING_GRADIENTS, INFERENCE_GRADIENTS] if writers()[backend].differentiates else []
    return [TRAINING, INFERENCE, *gradients]


#: Why a writer may write no script: of a call that its backend does not offer, or one that takes more than 15 statements.
REFUSED = re.compile(
    r"it would take \d+ statements|\w+ does not train|the modules are for inference|no lines are written here"
    r"|StableHLO has no operation|in inference gamma and beta are constants"
)


def call_found(backend: str, call: Call) -> tuple[Finding, Case]:
    """A finding of a call, and its case."""
    case = case_of(Step(call, call.inputs, True), rank=rank_for(backend))
    return element(backend, case, "dx" if call.has_gradients else "y"), case


def asked() -> Iterator[tuple[str, str | Call, str]]:
    """Each backend and each call and law, with the reason why there is no script."""
    for backend in WITH_LAYERS:
        for call in calls_of(backend):
            yield backend, call, refusal(backend, *call_found(backend, call))
        for clause in LAWS:
            yield backend, clause, refusal(backend, *broken_law(backend, clause))


def test_what_has_no_script_says_why() -> None:
    """The backends that are judged here refuse nothing, and the others little: an own reason of each call."""
    judged = {name for folder in backend_folders() for name in folder.gate}
    written: collections.Counter[str] = collections.Counter()
    for backend, of, reason in asked():
        assert not reason or REFUSED.match(reason), (backend, of, reason)
        assert not reason or backend not in judged, (backend, of, reason)
        written[backend] += not reason
    assert min(written[b] for b in WITH_LAYERS) >= 1


def test_every_backend_with_a_known_deviation_has_scripts() -> None:
    """What is said of a framework can be run by its maintainers."""
    known = [k for folder in backend_folders() for k in folder.harness_object("known", "KNOWN") or ()]
    deviating = {entry.name for entry in registered() if any(k.names(entry.name) for k in known)}
    assert deviating <= set(writers())


@pytest.mark.parametrize("call", [TRAINING, INFERENCE, TRAINING_GRADIENTS, INFERENCE_GRADIENTS], ids=str)
def test_a_script_of_every_call_is_short_and_stands_alone(call: Call) -> None:
    """At most 15 statements that import NumPy and the framework; the numbers and the clause are in it."""
    for backend in WITH_LAYERS:
        if call in calls_of(backend) and not refusal(backend, *call_found(backend, call)):
            holds_alone(backend, call)


def holds_alone(backend: str, call: Call) -> None:
    """The script of a finding of this call."""
    found, case = call_found(backend, call)
    output = "dx" if call.has_gradients else "y"
    text = text_of(found, case)
    evidence: Any = found.evidence
    assert repr(evidence.expected) in text
    assert repr(evidence.bound) in text
    assert "training.output" in text
    assert f"{output}[2, 1" in text


#: (relation, evidence) for each clause; what is left out is of the first call.
LAWS: dict[str, tuple[Relation, dict[str, Any]]] = {
    "contract.shapes": ("shape", {"output": "y", "expected": "(3, 2)", "got": "(2,)"}),
    "dtype.results": ("dtype", {"output": "y", "expected": "float32", "got": "float64"}),
    "training.finite": ("finite", {"output": "y", "index": (0, 0), "got": "nan", "expected": 1.0, "bound": 1.0}),
    "training.repeatable": ("equal_bits", {"output": "y", "step": 1, "compared_with": 0}),
    "training.ignores_running_state": (
        "agrees",
        {"output": "y", "step": 1, "index": (0, 0), "expected": 1.0, "got": 2.0, "bound": 0.1, "compared_with": 0},
    ),
    "inference.keeps_state": ("unchanged", {"output": "running_mean", "index": (0,)}),
    "running.var_not_negative": ("not_negative", {"output": "running_var", "index": (1,), "got": -1.0}),
    "affine.zero_gamma_gives_beta": ("equals", {"output": "y", "index": (0, 1), "expected": 0.25, "got": 1.0}),
    "degenerate.empty_batch": ("finite", {"output": "running_mean", "index": (0,), "got": "nan"}),
    "degenerate.count_one": ("raises", {}),
    "special.nan_is_not_hidden": ("not_finite", {"output": "y", "index": (0, 1), "expected": "nan", "got": 1.0}),
    "purity.arguments": ("unchanged", {"names": ("x",)}),
    "purity.results_are_new": ("separate_memory", {"output": "y", "names": ("x",)}),
    "purity.results_stay": ("unchanged", {"step": 1, "names": ("y",), "compared_with": 0}),
    "contract.accepts": ("returns", {"exception": "ValueError: Expected more than 1 value"}),
    "input.constant_feature_is_finite": ("bounded", {"output": "y", "index": (0, 1), "bound": 1.0, "got": 3.0}),
}


@pytest.mark.parametrize("clause", LAWS)
def test_every_relation_has_an_assertion_of_its_own(clause: str) -> None:
    """Bits, shapes, finiteness, memory and exceptions: each script prints what came."""
    for backend in WITH_LAYERS:
        found, case = broken_law(backend, clause)
        if not refusal(backend, found, case):
            text = text_of(found, case)
            assert '"got' in text
            assert "assert " in text or "raise" in text


def broken_law(backend: str, clause: str) -> tuple[Finding, Case]:
    """A finding that a law does not hold, and its case."""
    relation, given = LAWS[clause]
    call = INFERENCE if clause.startswith("inference") else TRAINING
    fresh = relation != "unchanged"
    case = case_of(
        *[Step(call, ("x",), k == 0 or fresh) for k in range(1 + given.get("step", 0))], rank=rank_for(backend)
    )
    if len(given.get("index", ())) == 2:
        given = {**given, "index": given["index"] + (0,) * (rank_for(backend) - 2)}
    evidence = Evidence(**{"step": 0, "call": call.name, "relation": relation, **given})
    return finding(backend, clause, evidence), case


def test_the_room_reads_the_run_directory_only() -> None:
    """Nothing of the cases' making, the checks or the judgement is imported: what a script needs is on record."""
    for file in sorted(Path(assertions.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("bnspec.conformance."):
                assert str(node.module).startswith("bnspec.conformance.repro"), (file.name, node.module)


def test_every_relation_has_an_assertion() -> None:
    """A relation that evidence can name and no script can assert would be a finding without a script."""
    assert set(ASSERTIONS) == set(get_args(Relation))


@pytest.mark.parametrize("clause", LAWS)
def test_rewording_a_message_changes_no_script(clause: str) -> None:
    """Scripts are made from typed evidence alone."""
    found, case = broken_law("torch.nn", clause)
    written = script(found, case, target("torch.nn"))
    for message in ("", "raised ValueError: step 7 has shape (2,)", "the state changed between two calls; seen once"):
        assert script(msgspec.structs.replace(found, message=message), case, target("torch.nn")) == written


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


def test_statements_are_written_one_a_line_and_wrapped() -> None:
    """Long statements break between brackets and mean the same; comments stand beside, or above where they do not fit."""
    values = [[0.1 * k for k in range(12)] for _ in range(3)]
    word = "00" * 200
    lines = [
        Statement("a = 1", (), "one"),
        Statement("b = 2", (), "a comment that is too long to stand beside its statement, " * 3),
        block("if a:", [f"x = ({values}, (1,), [{values}])", f'y = bytes.fromhex("{word}")']),
    ]
    text = source(lines)
    assert max(map(len, text)) <= COLUMNS
    assert text[0] == "a = 1  # one"
    assert text[1].startswith("# a comment")
    assert count("\n".join(text)) == 5
    names: dict[str, Any] = {}
    exec("\n".join(text), names)  # noqa: S102  # what was just written
    assert names["x"] == (values, (1,), [values])
    assert names["y"] == bytes.fromhex(word)


def test_neighbouring_blocks_of_one_header_become_one() -> None:
    """Two calls without gradients share their ``with``; other compound statements stay apart."""
    calls = [block("with torch.no_grad():", ["a = f(x)"]), block("with torch.no_grad():", ["b = f(x)"])]
    assert statements(calls) == [block("with torch.no_grad():", ["a = f(x)", "b = f(x)"])]
    assert len(statements([block("if a:", ["pass"]), block("if a:", ["pass"])])) == 2


@pytest.mark.parametrize(
    ("backend", "case", "why"),
    [
        ("numpy", case_of(), "no writer of standalone scripts exists for numpy"),
        ("torch.nn", case_of(*[Step(TRAINING_GRADIENTS, ("x", "dy"))] * 40), "statements, more than 15"),
    ],
)
def test_without_a_script_there_is_a_reason(backend: str, case: Case, why: str) -> None:
    """No script is better than a wrong one, and none is missing without a word."""
    evidence = Evidence(
        step=len(case.steps) - 1,
        call=case.steps[-1].call.name,
        relation="within_bound",
        output="running_mean",
        index=(0,),
        expected=1.0,
        got=2.0,
        bound=0.1,
    )
    with pytest.raises(NoScript, match=why):
        script(finding(backend, "running.mean", evidence), case, target(backend))


@pytest.mark.parametrize("backend", ["torch.nn", "flax.nnx", "tensorflow.fused", "keras"])
def test_a_script_ends_with_1_on_the_deviation_and_with_0_without_it(backend: str, tmp_path: Path) -> None:
    """A framework that is right by the oracle passes; asked for another number by two bounds it does not."""
    if missing := not_installed(backend):
        pytest.skip(f"{missing} is not installed")
    step = Step(TRAINING_GRADIENTS, ("x", "dy"), True)
    case = case_of(step, rank=rank_for(backend), layout="stepped")
    for error, status in ((0.0, 0), (3.0, 1)):
        end = run(text_of(element(backend, case, "dx", error), case), tmp_path)
        assert end.returncode == status, end.stdout + end.stderr
        assert end.stdout.splitlines()[-1].startswith("got")
        assert "expected" in end.stdout


def test_a_header_has_no_control_characters() -> None:
    """Frameworks colour their messages: what a reader opens is plain text, one comment a line."""
    case = case_of()
    evidence = Evidence(
        step=0, call="training", relation="returns", ratio="inf", exception="IndexError: \x1b[1mno\x1b[0m\rimport os"
    )
    text = script(finding("torch.nn", "contract.accepts", evidence), case, target("torch.nn"))
    head = text[: text.index("\n\n")]
    assert "IndexError" in head
    assert all(line.startswith("# ") and line.isprintable() for line in head.split("\n"))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_laws_pass_where_they_hold(tmp_path: Path) -> None:
    """In one process: PyTorch breaks none of these on an ordinary case."""
    parts = []
    for clause in ("inference.keeps_state", "purity.arguments", "purity.results_are_new", "training.repeatable"):
        found, case = broken_law("torch.nn", clause)
        parts.append(text_of(found, case))
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
    assert (row["status"], row["backend"], row["known"]) == (
        "written",
        "torch.nn",
        [msgspec.to_builtins(ACCURACY)],
    )
    written = path / "repros" / "torch.nn--training.output.py"
    assert Path(row["script"]) == written
    assert main(["repro", f"{path}:training.output@torch.nn"]) == 0
    assert capsys.readouterr().out == written.read_text()
    assert main(["repro", str(path), "--clause", "training"]) == 0
    assert "torch.nn  training.output  accuracy  written" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["print('nothing')\n", "import sys\nprint('got 1')\nsys.exit(0)\n", "1 / 0\n"])
def test_a_failed_script_is_not_one_that_does_not_reproduce(
    text: str, make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that ends before it prints what it got has failed, whatever its exit status; one that ends with 0 did not reproduce."""
    case = case_of()
    path = make_run(element("torch.nn", case, "y"), case)
    monkeypatch.setattr("bnspec.conformance.repro.scripts.script", lambda *_: text)
    assert main(["repro", str(path), "--run", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["repros"]
    assert row["status"] == ("not reproduced" if "got" in text else "failed")


@pytest.mark.parametrize(
    ("words", "message"),
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
    words: list[str], message: str, make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
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
    assert message in said
    assert "Fix:" in said


def test_a_backend_without_a_writer_is_listed_and_refused_by_name(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The list says so, and so does the refusal of a named one."""
    case = case_of()
    path = make_run(element("others.layer", case, "y"), case)
    assert main(["repro", str(path)]) == 0
    assert "no writer" in capsys.readouterr().out
    assert main(["repro", f"{path}:training.output@others.layer"]) == 2
    assert "has no standalone script" in capsys.readouterr().err
