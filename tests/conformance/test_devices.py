"""Right to accuse on a device: what is documented to differ there is judged by bounds, and what is known is known per device."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.targets import targets_of
from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.races import TIMES, race_cases
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.contract import Gradients
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.precision import units_of
from bnspec.oracle.oracle import Oracle
from tests.support.in_process import adapter_of, judged

REPEATABLE = "inference.repeatable"


class Races(PlainLayer):
    """The last bit of dbeta in inference depends on which call it is; on the 20th alone, where ``rarely``."""

    calls_made = 0
    size = 2.0**-23
    rarely = False

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """One call in a process adds in another order."""
        Races.calls_made += 1
        found = super().inference_gradients(x, dy)
        other = Races.calls_made % 20 == 0 if self.rarely else Races.calls_made % 2 == 0
        return found._replace(dbeta=found.dbeta * (1 + self.size * other)) if other else found


def race(number: int = 5) -> Case:
    """The smallest case that repeats gradients in inference."""
    return list(race_cases())[number]


def test_a_call_is_repeated_at_least_20_times_over_many_blocks() -> None:
    """On the shapes where races live, in both modes."""
    shapes = {c.arrays["x"].shape for c in race_cases()}
    assert shapes == {(4096, 64), (8, 64, 32, 32), (8, 3, 64, 64)}
    for case in race_cases():
        assert len(case.steps) == TIMES > 20
        assert len({(s.call, s.inputs, s.fresh) for s in case.steps}) == 1


def test_a_race_that_shows_once_in_20_calls_is_found() -> None:
    """And the repetitions are asked for nothing else, which would take long."""
    adapter = adapter_of(type("Rare", (Races,), {"rarely": True}))
    Races.calls_made = 0
    found = judged(race(), adapter, [REPEATABLE])[REPEATABLE]
    assert found is not None
    assert not found.holds
    asked = judge(race(), run_case(adapter, *race().header()), adapter.conventions, Oracle(race()))
    assert {"inference.output", REPEATABLE} <= set(asked)


@pytest.mark.parametrize(("size", "holds"), [(2.0**-23, True), (0.125, False)])
def test_a_call_that_is_documented_not_to_repeat_its_bits_is_held_to_both_bounds(size: float, holds: bool) -> None:
    """Rounding is forgiven, anything else is not."""
    declared = dataclasses.replace(PlainAdapter.conventions, not_repeatable=("inference_gradients",))
    adapter = adapter_of(type("Sized", (Races,), {"size": size}), conventions=declared)
    found = judged(race(), adapter, [REPEATABLE])[REPEATABLE]
    assert found is not None
    assert found.holds is holds


def test_bits_are_not_compared_across_programs() -> None:
    """A part of a batch is another shape, and gradients are another call: each a program that is tuned by itself."""
    case = batch_norm_case(Plan(Form((6, 3), 1)))
    clauses = ["inference.bits_are_independent_of_batch", "gradient.forward_agrees"]
    apart = dataclasses.replace(PlainAdapter.conventions, programs_apart=True)
    assert all(j is not None for j in judged(case, adapter_of(PlainLayer), clauses).values())
    assert all(j is None for j in judged(case, adapter_of(PlainLayer, conventions=apart), clauses).values())


def test_the_error_of_roots_is_a_property_of_the_device() -> None:
    """A layer whose root is that wrong conforms where the device states it; by the usual bound it does not."""

    class Coarse(PlainLayer):
        """inv_std is wrong by 20 unit roundoffs."""

        def inference_inv_std(self, var: Any) -> Any:
            return super().inference_inv_std(var) * np.float32(1 + 20 * 2.0**-24)

    case = batch_norm_case(Plan(Form((6, 3), 1), state="distinct"))
    zeros = {n: np.zeros(3, np.float32) for n in ("running_mean", "beta")}  # so that nothing but the root rounds much
    case = case.with_(arrays={**case.arrays, **zeros}, steps=case.steps[:1])
    metal = dataclasses.replace(PlainAdapter.conventions, root_roundings=30.0)
    usual = judged(case, adapter_of(Coarse), ["inference.output"])["inference.output"]
    there = judged(case, adapter_of(Coarse, conventions=metal), ["inference.output"])["inference.output"]
    assert usual is not None
    assert there is not None
    assert there.ratio <= 1 < usual.ratio
    assert units_of(metal, "float32", "float32").arithmetic.root_roundings == 30.0
    assert units_of(metal, "float32", "float32").statistics.root_roundings == Conventions().root_roundings


@pytest.mark.parametrize("changes", [{"not_repeatable": ("inferrence",)}, {"root_roundings": 1e9}])
def test_a_device_property_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    """A misspelt call would excuse nothing, or a root of any error everything."""
    with pytest.raises(UsageError):
        Conventions(**changes)


def test_known_deviations_are_known_on_their_devices() -> None:
    """By default on the CPU; elsewhere they neither cover nor are stale."""
    fields: dict[str, Any] = {
        "title": "t", "backends": "torch.*", "clauses": ("training.output",), "where": lambda case: True, "conditions": "c",
        "kind": "bug", "reason": "r", "observed": "o", "reported": False, "package": "torch", "versions": ">=2",
    }  # fmt: skip
    release = {"torch": "2.11.0"}
    usual, of_gpus = Known(**fields), Known(**{**fields, "devices": "cuda*"})
    assert usual.concerns("torch.nn", "cpu", release)
    assert not usual.concerns("torch.nn", "cuda:0", release)
    assert of_gpus.concerns("torch.nn", "cuda:1", release)
    assert not of_gpus.concerns("torch.nn", "cpu", release)


def test_conventions_of_accelerators() -> None:
    """No double precision beside GPUs and the CPU; each program is tuned by itself; XLA's roots on GPUs are approximate."""
    pytest.importorskip("jax")
    from bnspec.backends.jax.common import on_device
    from bnspec.backends.jax.numpy import JaxNumpy

    plain = JaxNumpy.conventions
    assert on_device(plain, "cpu") == plain
    gpu, tpu = on_device(plain, "gpu"), on_device(plain, "tpu")
    assert (gpu.root_roundings, gpu.programs_apart) == (7.0, True)
    assert "float64" in gpu.dtypes
    assert "float64" not in tpu.dtypes


def test_gpu_is_a_word_for_whatever_gpu_is_there() -> None:
    """And the command line takes it."""
    torch = pytest.importorskip("torch")
    import types

    from bnspec.backends.torch.common import word_of

    there = types.SimpleNamespace(is_available=lambda: True)
    absent = types.SimpleNamespace(is_available=lambda: False)
    assert word_of(types.SimpleNamespace(cuda=absent, xpu=there), "gpu:1") == "xpu:1"
    assert word_of(types.SimpleNamespace(cuda=there), "gpu") == "cuda"
    assert word_of(torch, "cpu") == "cpu"
    assert [t.device for t in targets_of(["numpy"], ["gpu:0"])] == ["gpu:0"]
