"""Devices by the same argument everywhere; several host devices stand in for accelerators that are not here."""

from __future__ import annotations

import importlib.util

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import select
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.judge.judge import judge
from bnspec.oracle.oracle import Oracle

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")


@needs_jax
def test_a_second_device_is_reached_by_its_number_and_computes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two host devices, cpu:1 opens, runs a case and conforms; what is not there is absent, with the reason."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    (entry,) = select(["jax.numpy"])
    case = catalogue()[0]
    with Worker(entry, "cpu:1") as worker:
        assert worker.hello.status == "ready"
        assert worker.hello.conventions is not None
        verdicts = judge(case, worker.run(case), worker.hello.conventions, Oracle(case))
    assert verdicts["training.output"] is not None
    assert verdicts["training.output"].holds
    with Worker(entry, "cpu:2") as worker:
        assert worker.hello.status == "absent"
        assert "2 device(s)" in worker.hello.reason


@pytest.mark.parametrize("device", ["cuda:0", "gpu:0", "mps", "tpu:0"])
def test_a_backend_without_the_device_says_so(device: str) -> None:
    """Absent, never a crash and never a silent run on the CPU."""
    (entry,) = select(["numpy"])
    with Worker(entry, device) as worker:
        assert worker.hello.status == "absent"
        assert device in worker.hello.reason
