"""GroupNormalization of opset 21, two groups of four channels with the scale 1, 2, 3, 4, by the reference evaluator: what is y of 0, 1, 2, 3?"""

import numpy as np
import onnx.helper as h
from onnx.reference import ReferenceEvaluator

info = [h.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 4, 1]), ("s", [4]), ("b", [4]), ("y", [1, 4, 1]))]
node = h.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2, epsilon=0.0)
graph = h.make_graph([node], "layer", info[:3], info[3:])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=8)
feed = {"x": np.arange(4).reshape(1, 4, 1), "s": np.arange(1, 5), "b": np.zeros(4)}
(y,) = ReferenceEvaluator(model).run(None, {name: value.astype(np.float32) for name, value in feed.items()})
print(np.round(y, 2).ravel().tolist())
