"""MeanVarianceNormalization over axis 0 of [[1, 3], [5, 9]]: what is y? By the definition -1, -1, 1, 1."""

import numpy as np
import onnx.helper as h
import onnxruntime

node = h.make_node("MeanVarianceNormalization", ["x"], ["y"], axes=[0])
info = [h.make_tensor_value_info(n, 1, [2, 2]) for n in ("x", "y")]
graph = h.make_graph([node], "layer", info[:1], info[1:])
feed = {"x": np.array([[1, 3], [5, 9]], np.float32)}
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 9)], ir_version=4)
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
print([np.round(a.ravel(), 3).tolist()[:4] for a in session.run(None, feed)])
