"""LayerNormalization of 64 values, 10000 and 10001 in turn: what are the first of y? By the definition -1 and 1."""

import numpy as np
import onnx.helper as h
import onnxruntime

node = h.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"])
shapes = [[1, 64], [64], [64], [1, 64]]
info = [h.make_tensor_value_info(n, 1, s) for n, s in zip(["x", "scale", "bias", "y"], shapes)]
graph = h.make_graph([node], "layer", info[:3], info[3:])
x = (1e4 + np.arange(64) % 2).astype(np.float32).reshape(1, 64)
feed = {"x": x, "scale": np.ones(64, np.float32), "bias": np.zeros(64, np.float32)}
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
print([np.round(a.ravel(), 3).tolist()[:4] for a in session.run(None, feed)])
