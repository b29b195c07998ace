"""x [[1], [5]] in the form of opset 9 with five outputs, training: what are y, the new statistics and the saved ones, from mean 0 and variance 4 with momentum 0.5?"""

import numpy as np
import onnx.helper as h
import onnxruntime

names, one = ["x", "scale", "bias", "mean", "var"], np.ones(1, np.float32)
outputs = ["y", "m", "v", "saved_mean", "saved_var"]
node = h.make_node("BatchNormalization", names, outputs, epsilon=0.0, momentum=0.5)
shapes = [["n", 1], [1], [1], [1], [1], ["n", 1], [1], [1], [1], [1]]
info = [h.make_tensor_value_info(n, 1, s) for n, s in zip([*names, *outputs], shapes)]
graph = h.make_graph([node], "layer", info[:5], info[5:])
feed = {"x": np.array([[1], [5]], np.float32), "scale": one, "bias": 0 * one, "mean": 0 * one, "var": 4 * one}
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 9)], ir_version=4)
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
print([np.round(a.ravel(), 3).tolist()[:4] for a in session.run(None, feed)])
