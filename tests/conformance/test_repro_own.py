"""``bnspec repro`` for an adapter of one's own: a script that imports its file by its path, and is run only where it is named."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import COLUMNS, count
from bnspec.cli import main
from bnspec.conformance.repro.own_adapter import found
from bnspec.conformance.repro.script import MAX_STATEMENTS, script
from bnspec.contract import LayerConfig
from bnspec.model.call import CALLS, INFERENCE, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.records import Finding, TargetRecord
from bnspec.reports.run.store import RunWriter

LAYER = (Path(__file__).resolve().parents[2] / "examples" / "my_layer.py").read_text("utf-8")
#: In place of a module of this name it would end the process with a status of its own.
STRANGE = "import os\nos._exit(77)\n"


def case_of(*steps: Step) -> Case:
    """Three rows of two channels."""
    x = np.array([[1.5, -2.0], [0.25, 4.0], [3.0, 7.5]], np.float32)
    arrays = {"x": x, "dy": x[::-1].copy(), "gamma": np.array([0.5, 2.0], np.float32)}
    arrays |= {
        "beta": np.ones(2, np.float32),
        "running_mean": np.zeros(2, np.float32),
        "running_var": np.ones(2, np.float32),
    }
    config = LayerConfig(2, 1, 2, 0.001, 0.75, "float32", "float32")
    return Case("batch_norm", config, arrays, steps or (Step(TRAINING, ("x",), True),))


def finding(backend: str, expected: float = 100.0, **changes: Any) -> Finding:
    """y is expected to be what no layer gives, or, as 0.0 with a wide bound, what any gives."""
    numbers = dict(expected=expected, got=0.0, bound=1.0 if expected else 1e3, ratio=2.0)
    evidence = Evidence(step=0, call="training", relation="within_bound", output="y", index=(0, 0), **numbers)
    evidence = msgspec.structs.replace(evidence, **changes)
    return Finding("training.output", "training", "MUST", backend, "cpu", "deviates", 1, 1, 0, 2.0, "off", evidence)


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A run directory of one finding, beside the adapter's file, in a folder that holds modules of a stranger."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_layer.py").write_text(LAYER)

    def make(found: Finding) -> Path:
        with RunWriter.create(tmp_path / "run", new_manifest("verify", "test", 1, "quick", {})) as writer:
            path = writer.save_case(case_of())
            writer.write(msgspec.structs.replace(found, case=path, shrunk=path))
        for folder in (tmp_path, tmp_path / "run", tmp_path / "run" / "repros"):
            folder.mkdir(exist_ok=True)
            for module in ("numpy", "json", "importlib", "sitecustomize"):
                (folder / f"{module}.py").write_text(STRANGE)
        return tmp_path / "run"

    return make


@pytest.mark.parametrize(("backend", "expected"), [("my_layer.py:MyAdapter", 100.0), ("my_layer:MyAdapter", 0.0)])
def test_the_script_imports_the_file_by_its_path_and_is_run_where_it_is_named(
    backend: str, expected: float, make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 1 on the deviation and with 0 without it; no module of the folders around it is imported."""
    path = make_run(finding(backend, expected))
    status = main(["repro", str(path), "--run", "--json", "--backend", backend])
    (repro,) = json.loads(capsys.readouterr().out)["repros"]
    assert repro["status"] == ("reproduced" if expected else "not reproduced"), repro["output"]
    assert status == (0 if expected else 1)
    text = Path(repro["script"]).read_text("utf-8")
    literals = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    assert str(path.parent / "my_layer.py") in literals
    assert count(text) <= MAX_STATEMENTS
    assert max(map(len, text.splitlines())) <= COLUMNS


def test_a_script_of_an_adapter_that_only_the_run_names_is_not_run(
    make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The run may be anybody's, and so may the file that it names: whoever wants it run says so."""
    path = make_run(finding("my_layer.py:MyAdapter"))
    (path.parent / "my_layer.py").write_text(STRANGE)
    assert main(["repro", str(path), "--run", "--json"]) == 1
    (repro,) = json.loads(capsys.readouterr().out)["repros"]
    assert repro["status"] == "not run"
    assert repro["exit_status"] is None
    assert "--backend my_layer.py:MyAdapter" in repro["reason"]


@pytest.mark.parametrize("name", sorted(n for n, c in CALLS.items() if c.mode and not c.has_mask))
def test_every_pass_has_a_script(name: str, make_run: Callable[..., Path]) -> None:
    """As the worker makes it, in at most 15 statements."""
    make_run(finding("my_layer.py:MyAdapter"))
    call = CALLS[name]
    options = (("wanted", "dx"),) if call.kind == "some_gradients" else ()
    case = case_of(Step(call, call.inputs, True, options)) if {*call.inputs} <= {"x", "dy"} else with_another(call.name)
    found_ = finding("my_layer.py:MyAdapter", call=name)
    text = script(found_, case, TargetRecord("my_layer.py:MyAdapter", "cpu", "ready", "", "", {}, {}))
    assert f"layer.{name}(" in text
    assert count(text) <= MAX_STATEMENTS
    ast.parse(text)


def with_another(name: str) -> Case:
    """A case of a call that takes another array, too: a direction, or a batch."""
    case, call = case_of(), CALLS[name]
    another = {n: case.arrays["dy"].copy() for n in call.inputs if n not in case.arrays}
    return case.with_(arrays={**case.arrays, **another}, steps=(Step(call, call.inputs, True),))


def test_an_adapter_that_is_not_there_has_no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported to look for it; an installed module is imported by its name."""
    monkeypatch.chdir(tmp_path)
    for spec, why in {
        "gone.py:A": "is not there",
        "gone:A": "nor installed",
        "a-b:A": "not the name",
        "a:import": "not the name",
    }.items():
        with pytest.raises(NoScript, match=why):
            found(spec)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text(STRANGE)
    (tmp_path / "package" / "mine.py").write_text(STRANGE)
    assert found("package.mine:A").file == tmp_path / "package" / "mine.py"
    assert found("bnspec.backends.numpy.specification:NumpySpec").file is None


def test_histories_are_written_with_the_methods_of_the_contract(make_run: Callable[..., Path]) -> None:
    """Saved, copied and changed layers, and the state before and after."""
    make_run(finding("my_layer.py:MyAdapter"))
    steps = (Step(TRAINING, ("x",), True), Step(CALLS["clone"]), Step(CALLS["set_decay"], options=(("decay", 0.5),)))
    case = case_of(*steps, Step(CALLS["swap"]), Step(TRAINING_GRADIENTS, ("x", "dy")), Step(INFERENCE, ("x",)))
    evidence = Evidence(step=2, call="set_decay", relation="unchanged", output="running_var")
    of = msgspec.structs.replace(finding("my_layer.py:MyAdapter"), evidence=evidence)
    text = script(of, case, TargetRecord("my_layer.py:MyAdapter", "cpu", "ready", "", "", {}, {}))
    for line in ("layer, other = layer.copied(), layer", "layer.set_decay(0.5)", "adapter.array(layer.state()[1])"):
        assert line in text
