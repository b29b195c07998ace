"""The version converter from opset 15 to 22, of a batch normalization whose definition did not change: what comes?"""

import onnx.helper as h
from onnx import version_converter

names = ["x", "scale", "bias", "mean", "var"]
node = h.make_node("BatchNormalization", names, ["y"], epsilon=0.5)
info = [h.make_tensor_value_info(n, 1, s) for n, s in zip([*names, "y"], [[2, 1], [1], [1], [1], [1], [2, 1]])]
graph = h.make_graph([node], "layer", info[:5], info[5:])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 15)], ir_version=8)
try:
    print([(n.op_type, len(n.input)) for n in version_converter.convert_version(model, 22).graph.node])
except RuntimeError:
    print("a refusal: the converter has no such version")
