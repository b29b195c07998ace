"""Shape inference, not strict, of MeanVarianceNormalization over the batch and the plane of x (2, 2, 1, 1): which shape of y is inferred?"""

import numpy as np
import onnx.helper as h
import onnx.shape_inference

node = h.make_node("MeanVarianceNormalization", ["x"], ["y"])
value = [h.make_tensor_value_info(n, 1, s) for n, s in (("x", [2, 2, 1, 1]), ("y", None))]
model = h.make_model(h.make_graph([node], "layer", value[:1], value[1:]), opset_imports=[h.make_opsetid("", 13)])
shape = onnx.shape_inference.infer_shapes(model).graph.output[0].type.tensor_type
print(np.array([d.dim_value for d in shape.shape.dim]).tolist() if shape.HasField("shape") else "none is inferred")
