"""MeanVarianceNormalization of 1, 3, 5 and 9 in float16, two channels over a batch of two: what is y? By the definition -1, -1, 1, 1."""

import numpy as np
import onnx.helper as h
import onnxruntime

node = h.make_node("MeanVarianceNormalization", ["x"], ["y"])
info = [h.make_tensor_value_info(n, 10, [2, 2, 1, 1]) for n in ("x", "y")]
graph = h.make_graph([node], "layer", info[:1], info[1:])
feed = {"x": np.array([1, 3, 5, 9], np.float16).reshape(2, 2, 1, 1)}
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=7)
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
print([np.round(a.ravel(), 3).tolist()[:4] for a in session.run(None, feed)])
