"""Strict shape inference of MeanVarianceNormalization over the batch and the plane of x (2, 2, 1, 1): of which shape is y?"""

import numpy as np
import onnx
import onnx.helper as h
import onnx.shape_inference

node = h.make_node("MeanVarianceNormalization", ["x"], ["y"])
graph = h.make_graph([node], "layer", [h.make_tensor_value_info("x", 1, [2, 2, 1, 1])], [onnx.ValueInfoProto(name="y")])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=7)
inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
print(np.array([d.dim_value for d in inferred.graph.output[0].type.tensor_type.shape.dim]).tolist())
