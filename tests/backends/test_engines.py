"""What the adapters of inference engines do beside their engines, shown without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnspec.backends.iree.stablehlo import TRAINING, OperationLayer
from bnspec.contract import LayerConfig, State

CONFIG = LayerConfig(3, 1, 2, 1e-5, 0.75, "float32", "float32")


class RecordingAdapter:
    """Compiles nothing: its functions return fixed moments, and it keeps what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def function(self, template: str, config: LayerConfig, extents: tuple[str, ...]) -> Callable[..., Any]:
        """A function of fixed results."""
        self.asked.append((template, extents))
        mean, var = np.array([4.0, 8.0], "float32"), np.array([2.0, 6.0], "float32")
        return lambda x, *_: (x, mean, var) if template is TRAINING else (x,)


@pytest.fixture
def layer() -> OperationLayer:
    """A layer with the statistics 0 and 1."""
    running = State(np.zeros(2, "float32"), np.ones(2, "float32"))
    owner: Any = RecordingAdapter()
    return OperationLayer(owner, CONFIG, (np.ones(2, "float32"), np.zeros(2, "float32")), running)


def test_the_caller_averages_what_iree_returns(layer: OperationLayer) -> None:
    """StableHLO's operation returns the batch's moments."""
    layer.training(np.ones((4, 2, 5), "float32"))
    assert layer.state().running_mean.tolist() == [1.0, 2.0]
    assert layer.state().running_var.tolist() == [1.25, 2.25]


def test_an_empty_batch_is_not_averaged(layer: OperationLayer) -> None:
    """Its moments are NaN in IREE."""
    layer.training(np.ones((0, 2, 5), "float32"))
    assert layer.state().running_mean.tolist() == [0.0, 0.0]
    assert layer.state().running_var.tolist() == [1.0, 1.0]


def test_extents_are_open_in_inference_alone(layer: OperationLayer) -> None:
    """IREE does not compile training for shapes that are not known."""
    x = np.ones((4, 2, 5), "float32")
    layer.training(x)
    layer.inference(x)
    recorded: Any = layer.owner
    assert [extents for _, extents in recorded.asked] == [("4", "2", "5"), ("?", "2", "?")]
