"""Adapters of one framework in its several forms: each opens, says what it is, and computes what the definition says."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

import bnspec
from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry, registered
from bnspec.backends.keras.common import open_shape, policy
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.judge.judge import judge
from bnspec.contract import LayerConfig
from bnspec.oracle.oracle import Oracle

#: `make test` judges these at length: the gates of the backend folders.
GATED = {name for folder in backend_folders() for name in folder.gate}
#: Of the others, those that open and compile in seconds.
QUICK = ("flax.linen", "jax.nn")
OTHERS = [entry for entry in registered() if entry.name not in GATED]


def _computes(entry: Entry) -> None:
    """Run the catalogue's first case of a rank that is offered; y, gradients and running statistics are within their bounds."""
    package = entry.name.partition(".")[0]  # a backend's name begins with its package's
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    with Worker(entry, "cpu") as worker:
        assert worker.hello.status == "ready", worker.hello.reason
        assert worker.hello.conventions is not None
        assert package in worker.hello.versions
        case = next(c for c in catalogue() if c.config.rank in worker.hello.conventions.ranks)
        verdicts = judge(case, worker.run(case, 180.0), worker.hello.conventions, Oracle(case))
    for clause in ("training.output", "running.mean", "running.var"):
        judgement = verdicts[clause]
        assert judgement is not None, clause
        assert judgement.holds, clause


@pytest.mark.parametrize("entry", [e for e in OTHERS if e.name in QUICK], ids=lambda e: e.name)
def test_an_adapter_computes_the_definition(entry: Entry) -> None:
    """A compiled function is still the layer: one case through the worker, judged by the oracle."""
    _computes(entry)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [e for e in OTHERS if e.name not in QUICK], ids=lambda e: e.name)
def test_an_adapter_that_opens_slowly_computes_the_definition(entry: Entry) -> None:
    """The same, for frameworks that take long to open or to compile."""
    _computes(entry)


@pytest.mark.parametrize(
    ("dtype", "parameter_dtype", "wanted"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float64", "float64"),
        ("float16", "float16", "float16"),
        ("float16", "float32", "mixed_float16"),
        ("bfloat16", "float32", "mixed_bfloat16"),
    ],
)
def test_the_policy_is_the_one_with_these_dtypes(dtype: str, parameter_dtype: str, wanted: str) -> None:
    """Keras' mixed policies are half precision with float32 weights; every other one has one dtype."""
    assert policy(LayerConfig(4, 1, 3, 1e-3, 0.9, dtype, parameter_dtype)) == wanted


def test_a_keras_layer_is_built_from_its_channel_axis_alone() -> None:
    """Batch and spatial extents are open, so that one layer serves every shape of its rank."""
    assert open_shape(LayerConfig(4, 1, 3, 1e-3, 0.9, "float32", "float32")) == (None, 3, None, None)


def test_adapters_of_one_folder_do_not_double_how_they_start() -> None:
    """What two classes begin with and say of their versions is in one class that both have: copies drift."""
    doubled = []
    for folder in backend_folders():
        seen: dict[str, str] = {}
        for file in sorted((Path(bnspec.__file__).parent / "backends" / folder.name).glob("*.py")):
            for node in ast.parse(file.read_text("utf-8")).body:
                methods = {m.name: m for m in getattr(node, "body", ()) if isinstance(m, ast.FunctionDef)}
                if isinstance(node, ast.ClassDef) and {"__init__", "versions"} <= methods.keys():
                    own = ast.dump(methods["__init__"]) + ast.dump(methods["versions"])
                    place = f"{file.name}:{node.name}"
                    if (other := seen.setdefault(own, place)) != place:
                        doubled.append(f"{folder.name}: {other} and {place}")
    assert not doubled
