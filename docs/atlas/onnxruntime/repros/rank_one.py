"""x of rank 1, two values of one channel, inference with mean 0 and variance 4, opset 9: what is y? 0.5 and 1.5, as for rank 2."""

import numpy as np
import onnx.helper as h
import onnxruntime

names, one = ["x", "scale", "bias", "mean", "var"], np.ones(1, np.float32)
node = h.make_node("BatchNormalization", names, ["y"], epsilon=0.0)
info = [h.make_tensor_value_info(n, 1, s) for n, s in zip([*names, "y"], [[2], [1], [1], [1], [1], [2]])]
graph = h.make_graph([node], "layer", info[:5], info[5:])
feed = {"x": np.array([1, 3], np.float32), "scale": one, "bias": 0 * one, "mean": 0 * one, "var": 4 * one}
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 9)], ir_version=4)
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
(y,) = session.run(None, feed)
print("y is 0.5 and 1.5" if y.tolist() == [0.5, 1.5] else "y is something else")
