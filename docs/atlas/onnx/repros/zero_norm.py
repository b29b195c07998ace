"""LpNormalization of a row of zeros beside [3, 4] by the reference evaluator: what is y? A row without a norm has no direction."""

import numpy as np
import onnx.helper as h
from onnx.reference import ReferenceEvaluator

info = [h.make_tensor_value_info(n, 1, [2, 2]) for n in ("x", "y")]
graph = h.make_graph([h.make_node("LpNormalization", ["x"], ["y"])], "layer", info[:1], info[1:])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=7)
(y,) = ReferenceEvaluator(model).run(None, {"x": np.array([[0, 0], [3, 4]], np.float32)})
print(np.round(y, 2).ravel().tolist())
