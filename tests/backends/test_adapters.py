"""Adapters of one framework in its several forms: each opens, says what it is, and computes what the definition says."""

from __future__ import annotations

import importlib.util

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.keras.common import open_shape, policy
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.judge.judge import judge
from bnspec.contract import LayerConfig
from bnspec.oracle.oracle import Oracle

JAX = [
    Entry("flax.linen", "bnspec.backends.flax.linen:FlaxLinen"),
    Entry("jax.nn", "bnspec.backends.jax.nn:JaxNN"),
]
SLOW_TO_OPEN = [
    Entry("keras.torch", "bnspec.backends.keras.on_torch:KerasTorch"),
    Entry("keras.jax", "bnspec.backends.keras.on_jax:KerasJax"),
    Entry("tensorflow.xla", "bnspec.backends.tensorflow.xla:TensorflowXLA"),
    Entry("torch.decomposed", "bnspec.backends.torch.compile:TorchDecomposed"),
    Entry("torch.compile", "bnspec.backends.torch.compile:TorchCompile"),
]
FRAMEWORKS = {"flax": "flax", "jax": "jax", "keras": "keras", "tensorflow": "tensorflow", "torch": "torch"}


def _computes(entry: Entry) -> None:
    """Run the catalogue's first case; y, gradients and running statistics are within their bounds."""
    package = FRAMEWORKS[entry.name.partition(".")[0]]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    case = catalogue()[0]
    with Worker(entry, "cpu") as worker:
        assert worker.hello.status == "ready", worker.hello.reason
        assert worker.hello.conventions is not None
        assert package in worker.hello.versions
        verdicts = judge(case, worker.run(case, 180.0), worker.hello.conventions, Oracle(case))
    for clause in ("training.output", "running.mean", "running.var"):
        judgement = verdicts[clause]
        assert judgement is not None, clause
        assert judgement.holds, clause


@pytest.mark.parametrize("entry", JAX, ids=lambda e: e.name)
def test_an_adapter_computes_the_definition(entry: Entry) -> None:
    """A compiled function is still the layer: one case through the worker, judged by the oracle."""
    _computes(entry)


@pytest.mark.slow
@pytest.mark.parametrize("entry", SLOW_TO_OPEN, ids=lambda e: e.name)
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
