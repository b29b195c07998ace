"""``onnxruntime.opset9.saved``: the statistics that a training node of opset 9 saves, of whole training sets.

The node's fourth and fifth outputs are the mean and the variance of its batch; a table is normalised with them by an inference node, whose
epsilon is 0.

Source: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html#batchnormalization-9
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np

from bnspec.backends.onnx.common import INPUTS, OnnxAdapter, Session
from bnspec.backends.onnxruntime.session import RuntimeOpset9
from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, Declined, LayerConfig, State
from bnspec.model.call import Mode


class RuntimeSaved(ScalerAdapter):
    """Nodes of ``onnxruntime.opset9`` over the rows of a table."""

    framework = "onnxruntime"
    conventions = Conventions(dtypes=("float64", "float32"), half_parameters=("input",), input_normalization=True)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.nodes = RuntimeOpset9(device)

    def versions(self) -> Dict[str, str]:
        """Versions of ONNX Runtime and of onnx."""
        return self.nodes.versions()

    def scaler(self, config: LayerConfig) -> SavedScaler:
        """The nodes, for tables."""
        return SavedScaler(config, self.nodes)


class SavedScaler(TableScaler):
    """The statistics that one node has saved."""

    def __init__(self, config: LayerConfig, nodes: OnnxAdapter) -> None:
        super().__init__(config)
        self.nodes, self.table = nodes, LayerConfig(2, 1, config.channels, 0.0, 0.0, config.dtype, config.dtype)
        self.saved: Any = None

    def session(self, mode: Mode) -> Session:
        """The node of tables, in this mode."""
        return self.nodes.compiled(self.table, mode)

    def run(self, mode: Mode, table: Any, saved: State) -> Sequence[Any]:
        """The node's outputs, without a scale and a bias."""
        one, none = np.ones_like(saved.running_mean), np.zeros_like(saved.running_mean)
        return self.session(mode)(dict(zip(INPUTS, (np.array(table, order="C"), one, none, *saved))))

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """A training node of one table. Raises ValueError: it has no rows."""
        table = np.concatenate(tables)
        if not len(table):
            raise ValueError("the table has no rows")
        channels = np.zeros(self.config.channels, table.dtype)
        self.saved = State(*self.run("training", table, State(channels, channels))[3:])

    def transform_rows(self, table: Any) -> Any:
        """An inference node with these statistics. Raises RuntimeError: there are none."""
        if self.saved is None:
            raise RuntimeError("no node has saved statistics")
        return self.run("inference", table, self.saved)[0]

    def inverse_rows(self, table: Any) -> Any:
        """Raises Declined."""
        raise Declined("the node has no inverse")

    def statistics(self) -> State:
        """The saved mean and variance."""
        return State(*self.saved)
