"""x [[1], [3]], running mean 0 and variance 4, opset 9: what is y? By the definition 0.5 and 1.5."""

import numpy as np
import onnx.helper as h
from onnx.reference import ReferenceEvaluator

names = ["x", "scale", "bias", "mean", "var"]
node = h.make_node("BatchNormalization", names, ["y"], epsilon=0.0)
shapes = [["n", 1], [1], [1], [1], [1]]
inputs = [h.make_tensor_value_info(n, 1, s) for n, s in zip(names, shapes)]
graph = h.make_graph([node], "layer", inputs, [h.make_tensor_value_info("y", 1, ["n", 1])])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 9)], ir_version=4)
one = np.ones(1, np.float32)
feed = {"x": np.array([[1], [3]], np.float32), "scale": one, "bias": 0 * one, "mean": 0 * one, "var": 4 * one}
print(np.round(ReferenceEvaluator(model).run(None, feed)[0].ravel(), 3).tolist())
