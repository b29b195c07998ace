"""``onnx.opset7``, ``onnx.opset9``, ``onnx.opset14`` and ``onnx.opset15``: the reference evaluator of the onnx package.

    onnx.mvn   the operator MeanVarianceNormalization

Opset 15 is the newest in which BatchNormalization has changed. The evaluator computes with NumPy in x's dtype.

Source: https://onnx.ai/onnx/api/reference.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

from bnspec.backends.onnx.common import CONVENTIONS, OnnxAdapter, Session
from bnspec.backends.onnx.mean_variance import MeanVarianceAdapter


class OnnxOpset9(OnnxAdapter):
    """Opset 9: inference, and training by a node with five outputs."""

    framework = "onnx"
    opset = 9
    trains_by_outputs = True
    conventions = dataclasses.replace(
        CONVENTIONS,
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "float16"),
    )

    def session(self, model: Any) -> Session:
        """A ReferenceEvaluator."""
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)
        return lambda inputs: tuple(evaluator.run(None, dict(inputs)))


class OnnxOpset7(OnnxOpset9):
    """Opset 7: the same."""

    opset = 7


class OnnxOpset14(OnnxOpset9):
    """Opset 14: a training mode, with x, parameters and statistics of one dtype here."""

    opset = 14


class OnnxOpset15(OnnxOpset9):
    """Opset 15: parameters and statistics of another dtype than x, too."""

    opset = 15
    conventions = dataclasses.replace(OnnxOpset9.conventions, half_parameters=("float32", "input"))


class OnnxMvn(MeanVarianceAdapter):
    """The evaluator, which computes with NumPy in x's dtype."""

    framework = "onnx"

    def session(self, model: Any) -> Callable[[Any], Any]:
        """A ReferenceEvaluator."""
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)
        return lambda x: evaluator.run(None, {"x": x})[0]
