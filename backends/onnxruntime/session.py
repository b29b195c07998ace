"""``onnxruntime.opset9``, ``onnxruntime.opset14`` and ``onnxruntime.opset15``: ONNX Runtime's execution provider for CPUs.

    onnxruntime.opset15.output   y of a training node whose other outputs, which are optional, are left out
    onnxruntime.opset9.saved     the fourth and fifth outputs of a training node of opset 9, the mean and the variance of its batch: tables
                                 are normalised with them by an inference node

Source: https://onnxruntime.ai/docs/api/python/api_summary.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional, Sequence

import numpy as np

from bnspec.backends.onnx.common import CONVENTIONS, INPUTS, OnnxAdapter, OnnxLayer, Session, model_of
from bnspec.backends.onnxruntime.common import RuntimeAdapter
from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Conventions, Declined, Layer, LayerConfig, State
from bnspec.model.call import Mode

#: A layer that every release can run, if it knows the opset.
PROBE = LayerConfig(2, 1, 1, 1e-5, 0.9, "float32", "float32")


class RuntimeOpset9(RuntimeAdapter, OnnxAdapter):
    """Opset 9: inference, and training by a node with five outputs."""

    opset = 9
    thread_count = 0
    trains_by_outputs = True
    conventions = dataclasses.replace(CONVENTIONS, checks_arguments=True, dtypes=("float64", "float32", "float16"))

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        refused = self.onnxruntime.capi.onnxruntime_pybind11_state
        try:  # no release says which opsets it has
            self.session(model_of(self.onnx, self.opset, PROBE, "inference"))
        except (refused.Fail, refused.InvalidArgument, refused.InvalidGraph, refused.NotImplemented) as error:
            raise ImportError("a model of opset %d is refused: %s" % (self.opset, error)) from error

    def threads(self) -> Optional[int]:
        """The number that was asked for; None: ONNX Runtime's choice."""
        return self.thread_count or None

    def use_threads(self, count: int) -> None:
        """Sessions made from now on use so many threads; 0: ONNX Runtime's choice."""
        self.thread_count = count
        self.sessions.clear()


class RuntimeOpset14(RuntimeOpset9):
    """Opset 14: a training mode."""

    opset = 14


class RuntimeOpset15(RuntimeOpset9):
    """Opset 15: parameters and statistics of another dtype than x, too."""

    opset = 15
    conventions = dataclasses.replace(RuntimeOpset9.conventions, half_parameters=("float32", "input"))


class RuntimeOpset15Output(RuntimeOpset15):
    """The same, with a training node of the one output y; the statistics are those of a node with all outputs."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.alone: Dict[LayerConfig, Session] = {}

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """The arrays that the node takes beside x."""
        return OutputLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def output(self, config: LayerConfig) -> Session:
        """The session of the training node whose other outputs are left out, made once."""
        if config not in self.alone:
            model = model_of(self.onnx, self.opset, config, "training")
            del model.graph.output[1:]
            model.graph.node[0].output[1:] = ["", ""]
            self.alone[config] = self.session(model)
        return self.alone[config]


class OutputLayer(OnnxLayer):
    """The arrays of one BatchNormalization node."""

    owner: RuntimeOpset15Output

    def training(self, x: Any) -> Any:
        """y of the node with one output; the other node's outputs become the statistics."""
        (y,) = self.owner.output(self.config)(dict(zip(INPUTS, (x, *self.parameters, *self.running))))
        super().training(x)
        return y

    def copied(self) -> OutputLayer:
        """The same arrays, which no call changes."""
        return OutputLayer(self.owner, self.config, self.parameters, self.running)


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
