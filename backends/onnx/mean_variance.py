"""Shared by the backends of the operator MeanVarianceNormalization, which scales whole training sets by their own statistics.

Source: https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
"""

from __future__ import annotations

import abc
from typing import Any, Callable, Dict, Tuple

from bnspec.backends.onnx.common import kind_of
from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter
from bnspec.contract import Conventions, LayerConfig

#: The operator's newest opset and the file format of its time.
OPSET, IR_VERSION = 13, 7


class MeanVarianceAdapter(ScalerAdapter):
    """Models of one node over the rows of a table. Subclasses define ``session``."""

    conventions = Conventions(
        dtypes=("float64", "float32", "float16"), half_parameters=("input",), input_normalization=True
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnx

        self.onnx = onnx
        self.sessions: Dict[Tuple[str, int], Callable[[Any], Any]] = {}

    @abc.abstractmethod
    def session(self, model: Any) -> Callable[[Any], Any]:
        """What runs this ModelProto: y of x."""

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The node, for one table."""
        key = config.dtype, config.channels
        if key not in self.sessions:
            self.sessions[key] = self.session(self.model(*key))
        return ScaledTable(config, self.sessions[key])

    def model(self, dtype: str, channels: int) -> Any:
        """The ModelProto of the node over axis 0 of tables of so many columns."""
        helper, kind = self.onnx.helper, kind_of(self.onnx, dtype)
        x, y = (helper.make_tensor_value_info(name, kind, ["n", channels]) for name in "xy")
        node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"], axes=[0])
        graph = helper.make_graph([node], "scaler", [x], [y])
        imports = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
