"""Workloads: named once, of ordinary numbers unless stated otherwise, judged in every pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.benchmarks.timing.judge_outputs import TimedCase
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.models import Model, cut_batch, models, select_models, worth
from bnspec.benchmarks.workloads.suites import MOST, SUITES, workloads
from bnspec.benchmarks.workloads.traffic import minimal_bytes, streaming_bytes
from bnspec.benchmarks.workloads.workload import PASSES, REGIMES, SCANS, Workload
from bnspec.errors import UsageError

SMALL = {
    "network_step": (4, 5, 5, 6), "plain_network_step": (4, 5, 5, 6), "layer_norm": (9, 7), "layer_norm_gradients": (9, 7),
}  # fmt: skip


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_names_each_workload_once(suite: str) -> None:
    """An id is what comparisons over runs go by."""
    listed = workloads(suite)
    assert len({w.id for w in listed}) == len(listed)


def test_the_suites_grow_and_the_standard_one_has_everything() -> None:
    """Every pass, every regime, every series, every precision."""
    short, standard, full = ({w.id for w in SUITES[p]} for p in ("short", "standard", "full"))
    assert short < standard < full
    listed = SUITES["standard"]
    assert {w.pass_name for w in listed} == set(PASSES)
    assert {w.regime for w in listed} == set(REGIMES)
    assert {s for w in listed for s in w.scans} == set(SCANS)
    assert {w.dtype for w in listed} == {"float32", "float64", "bfloat16", "float16"}


def test_every_distinct_shape_of_the_70_models_is_in_the_full_suite() -> None:
    """With its batch cut, where a batch is too large to be timed."""
    assert len({m.name for m in models()}) == 70
    shapes = {cut_batch(s, MOST["full"]) for m in models() for s in m.layers}
    assert shapes <= {w.shape for w in SUITES["full"]}


def test_a_model_is_chosen_by_its_name_and_its_layers_keep_their_weight() -> None:
    """ResNet-50 has 53 layers of batch normalization."""
    (model,) = select_models(["torchbench/resnet50"])
    assert sum(model.layers.values()) == 53
    listed = workloads("standard", ["training"], ["torchbench/resnet50"])
    assert sum(w.weight for w in listed) == 53
    with pytest.raises(UsageError, match="no model matches"):
        workloads("standard", [], ["resnet51"])


def test_what_a_change_of_one_shape_is_worth_for_the_model_follows_from_its_share() -> None:
    """Half of the time in three quarters of the layers' time is three eighths less."""
    model = Model("made up", "twoshapes", {(2, 4): 3, (2, 8): 1})
    found = worth(model, {(2, 4): 1.0, (2, 8): 1.0}, most=10**6)
    assert found.seconds == 4.0
    assert found.after({(2, 4): 0.5}) == 1.0 - 3 / 8
    assert found.after({}) == found.covered == 1.0


@pytest.mark.parametrize("regime", REGIMES)
def test_the_values_are_those_of_the_regime_and_of_the_seed(regime: str) -> None:
    """The same seed gives the same bits."""
    workload = Workload("small", (40, 5), 1, "float32", "training", regime)
    case = workload.case(7)
    assert case.id == workload.case(7).id != workload.case(8).id
    x, tiny = case.arrays["x"], np.finfo(np.float32).tiny
    of_regime = {
        "ordinary": x.std(0).min() > 0 and np.abs(x).min() > tiny,
        "subnormal": np.abs(x).max() < tiny and (x.max(0) > x.min(0)).all(),
        "constant": (x == x[:1]).all(),
        "offset": (np.abs(x.mean(0)) > 100 * x.std(0)).all(),
    }
    assert of_regime[regime]


@pytest.mark.parametrize("pass_name", PASSES)
def test_every_pass_is_timed_and_conforms(pass_name: str, numpy_worker: Worker) -> None:
    """And is judged: a ratio within the bound, and not by nothing."""
    shape = SMALL.get(pass_name, (12, 5))
    workload = Workload("small", shape, len(shape) - 1, "float32", pass_name)
    timing, _ = measure(numpy_worker, TimedCase(workload), {"seconds": 0.002, "probes": True})
    assert timing.verdict == "conforms", timing.message
    assert timing.ratio is not None
    assert timing.samples_ns


WRONG_NORM = """
def layer_norm(self, config, gamma, beta):
    right = super().layer_norm(config, gamma, beta)
    class Wrong(type(right)):
        def training(self, x):
            return super().training(x) * np.float32(1.001)
        def training_gradients(self, x, dy):
            found = super().training_gradients(x, dy)
            return found._replace(dx=found.dx * np.float32(1.001))
    right.__class__ = Wrong
    return right
"""


@pytest.mark.parametrize("pass_name", ["layer_norm", "layer_norm_gradients"])
def test_a_wrong_layer_normalization_deviates(pass_name: str, worker_of: Callable[..., Worker]) -> None:
    """Its bound is derived, and tight enough for a thousandth."""
    worker = worker_of(adapter=WRONG_NORM)
    workload = Workload("small", (9, 7), 1, "float32", pass_name)
    assert measure(worker, TimedCase(workload), {"seconds": 0.001})[0].verdict == "deviates"


@pytest.mark.parametrize("name", ["dgamma", "dbeta"])
def test_a_sum_of_layer_normalization_over_all_rows_is_judged(name: str, worker_of: Callable[..., Worker]) -> None:
    """Of more elements than are judged otherwise, too."""
    wrong = WRONG_NORM.replace("dx=found.dx * np.float32(1.001)", f"{name}=found.{name} * np.float32(1.25)")
    worker = worker_of(adapter=wrong)
    timing, _ = measure(
        worker, TimedCase(Workload("large", (300, 100), 1, "float32", "layer_norm_gradients")), {"seconds": 0.001}
    )
    assert timing.verdict == "deviates"
    assert name in timing.message


WIDER = """
def training_gradients(self, x, dy):
    found = super().training_gradients(x, dy)
    return found._replace({name}=found.{name}.astype(np.float64))
"""


@pytest.mark.parametrize("name", ["y", "dx", "dgamma", "dbeta"])
def test_a_result_of_another_dtype_is_reported(name: str, worker_of: Callable[..., Worker]) -> None:
    """Of half precision as well, where gradients of parameters have the parameters' dtype."""
    worker = worker_of(WIDER.format(name=name))
    timing, _ = measure(
        worker, TimedCase(Workload("small", (12, 5), 1, "float16", "training_gradients")), {"seconds": 0.001}
    )
    assert timing.verdict != "conforms"
    assert f"changed dtype: {name} is float64" in timing.message


def test_what_a_pass_must_move_is_in_bytes_and_never_more_than_what_streaming_moves() -> None:
    """Networks have no entry."""
    for name in PASSES:
        shape = SMALL.get(name, (12, 5))
        workload = Workload("small", shape, len(shape) - 1, "float32", name)
        least, streaming = minimal_bytes(workload), streaming_bytes(workload)
        if "network" in name:
            assert least is streaming is None
            continue
        assert least is not None
        assert streaming is not None
        assert all(a <= b for a, b in zip(least, streaming, strict=True))
        assert least[0] % (4 * workload.elements) == 0


def test_wrong_workloads_are_refused() -> None:
    """With what there is."""
    with pytest.raises(UsageError, match="no pass is called 'backward'"):
        workloads("short", ["backward"])
    with pytest.raises(UsageError, match="no suite is called 'quick'"):
        workloads("quick")
    with pytest.raises(UsageError, match="has 3 rows"):
        Workload("small", (3, 2), 1, "float32", "fit")
    with pytest.raises(UsageError, match="features lie on the last axis"):
        Workload("small", (3, 2, 4), 1, "float32", "layer_norm")
    with pytest.raises(UsageError, match="no regime is called 'odd'"):
        Workload("small", (2, 2), 1, "float32", "training", "odd")
