"""Devices by the same argument everywhere; several host devices stand in for accelerators that are not here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import select
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.judge.judge import judge
from bnspec.oracle.oracle import Oracle

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
needs_keras = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("tensorflow", "keras"))), reason="TensorFlow or Keras is not installed"
)
needs_flax = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("jax", "flax"))), reason="JAX or Flax is not installed"
)
#: Prints the devices on which results of both modes lie, and the running statistics.
WHERE_IT_RAN = """
import numpy as np
from bnspec.backends.keras.on_tensorflow import KerasLayer
from bnspec.contract import LayerConfig

adapter = KerasLayer("cpu:1")
config = LayerConfig(2, 1, 3, 0.1, 0.5, "float32", "float32")
layer = adapter.new_layer(config)
x = adapter.tensor(np.ones((4, 3), "float32"))
for tensor in (layer.training(x), layer.inference(x), *layer.training_gradients(x, x)[:2], *layer.state()):
    print(tensor.device.rpartition("device:")[2])
"""


def second_conforms(backend: str, beyond: str, reason: str) -> None:
    """cpu:1 opens, runs a case and conforms; the device ``beyond`` is absent, with the reason."""
    (entry,) = select([backend])
    case = catalogue()[0]
    with Worker(entry, "cpu:1") as worker:
        assert worker.hello.status == "ready"
        assert worker.hello.conventions is not None
        verdicts = judge(case, worker.run(case), worker.hello.conventions, Oracle(case))
    assert verdicts["training.output"] is not None
    assert verdicts["training.output"].holds
    with Worker(entry, beyond) as worker:
        assert worker.hello.status == "absent"
        assert reason in worker.hello.reason


@needs_jax
def test_a_second_device_is_reached_by_its_number_and_computes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two host devices, cpu:1 opens, runs a case and conforms; what is not there is absent, with the reason."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    second_conforms("jax.numpy", "cpu:2", "2 device(s)")


@needs_keras
def test_a_logical_device_of_tensorflow_is_made_and_computes() -> None:
    """cpu:1 is the second logical device of the CPU: operations, gradients and variables are there."""
    ran = subprocess.run([sys.executable, "-c", WHERE_IT_RAN], capture_output=True, text=True, timeout=300, check=False)
    assert ran.stdout.split() == ["CPU:1"] * 6, ran.stderr


@needs_keras
def test_a_logical_device_of_tensorflow_conforms_and_has_an_upper_bound() -> None:
    """cpu:1 opens, runs a case and conforms; a number that nobody needs is absent, with the reason."""
    second_conforms("tensorflow.nn", "cpu:8", "at most 8 logical devices")


@pytest.mark.parametrize(
    "backend",
    [pytest.param("keras.synchronized", marks=needs_keras), pytest.param("flax.nnx.replicas", marks=needs_flax)],
)
@pytest.mark.parametrize("rows", [1, 3])
def test_replicas_make_their_devices_and_normalise_by_the_whole_batch(backend: str, rows: int) -> None:
    """Of 3 rows and of 1, too, which two replicas cannot share evenly."""
    (entry,) = select([backend])
    case = batch_norm_case(Plan(Form((rows, 2, 3), 1), epsilon=0.25))
    with Worker(entry, "cpu") as worker:
        assert worker.hello.conventions is not None
        verdicts = judge(case, worker.run(case), worker.hello.conventions, Oracle(case))
    for clause in ("training.output", "running.mean", "running.var"):
        assert verdicts[clause] is not None
        assert verdicts[clause].holds
    with Worker(entry, "cpu:1") as worker:
        assert worker.hello.status == "absent"
        assert "made of the CPU" in worker.hello.reason or "logical devices of the CPU" in worker.hello.reason


@pytest.mark.parametrize("device", ["cuda:0", "gpu:0", "mps", "tpu:0"])
def test_a_backend_without_the_device_says_so(device: str) -> None:
    """Absent, never a crash and never a silent run on the CPU."""
    (entry,) = select(["numpy"])
    with Worker(entry, device) as worker:
        assert worker.hello.status == "absent"
        assert device in worker.hello.reason
