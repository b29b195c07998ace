"""MeanVarianceNormalization over axis 0 of [[1, 3], [5, 9]] by the reference evaluator: what is y? By the definition -1, -1, 1, 1."""

import numpy as np
import onnx.helper as h
from onnx.reference import ReferenceEvaluator

node = h.make_node("MeanVarianceNormalization", ["x"], ["y"], axes=[0])
info = [h.make_tensor_value_info(n, 1, [2, 2]) for n in ("x", "y")]
graph = h.make_graph([node], "layer", info[:1], info[1:])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=7)
(y,) = ReferenceEvaluator(model).run(None, {"x": np.array([[1, 3], [5, 9]], np.float32)})
print(y.ravel().tolist())
