"""What the graph of an ONNX model takes, holds and gives, by names; by their place at a BatchNormalization node where names say nothing.

A model has one input x. Gamma, beta and the running statistics are further inputs, or constants: their values are then those of the case,
and they stay constants, so that whoever runs the model folds and fuses them as it would. Epsilon and momentum likewise, and as attributes.

Runs in workers: Python 3.8, standard library, NumPy and onnx.

Source: https://onnx.ai/onnx/repo-docs/IR.html
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from bnspec.backends.kernels.roles import OUTPUTS, role_of
from bnspec.errors import UsageError

#: The inputs of a BatchNormalization node, and the outputs of a graph whose names say nothing, in their order.
ORDER = ("x", "gamma", "beta", "running_mean", "running_var")
RESULTS = ("y", "new_running_mean", "new_running_var")
PARAMETERS, NUMBERS = ORDER[1:], ("epsilon", "momentum", "decay")
TAKEN = (*ORDER, *NUMBERS, "training", "inference")
#: Running statistics that come out are the new ones.
NEW = {"running_mean": "new_running_mean", "running_var": "new_running_var"}
NODE = "BatchNormalization"
#: The attributes of nodes that are numbers of the layer; a node without one has a default, which is set too.
ATTRIBUTES: Mapping[str, Tuple[str, ...]] = {
    NODE: ("epsilon", "momentum"),
    "InstanceNormalization": ("epsilon",),
    "LayerNormalization": ("epsilon",),
    "GroupNormalization": ("epsilon",),
}
#: What separates the parts of a name: bn1.running_mean.
PARTS = re.compile(r"[./:]")
#: A nameless number of at most this size may be an epsilon.
EPSILON_AT_MOST = 0.02
#: ONNX's numbers of the types of indices and of truth: uint8, int8, uint16, int16, int32, int64, bool, uint32, uint64.
INTEGERS = (2, 3, 4, 5, 6, 7, 9, 12, 13)
#: The first opset whose training mode is an attribute; before, it is a number of outputs.
TRAINING_MODE = 14


@dataclasses.dataclass(frozen=True)
class Array:
    """An input or a constant of the graph.

    Attributes:
        name: in the graph; dtype: of NumPy; shape: an extent that is open is its name, or None; () where it is a number.
    """

    name: str
    dtype: str
    shape: Optional[Tuple[Any, ...]]

    def like(self, value: np.ndarray, channels: int) -> np.ndarray:
        """One value for each channel, in this array's rank; a number in its shape."""
        shape = [1] * len(self.shape or ())
        if value.ndim and shape:
            shape[self.axis] = channels
        return np.ascontiguousarray(value.reshape(shape if value.ndim or shape else ()), np.dtype(value.dtype))

    @property
    def axis(self) -> int:
        """Of a parameter: where its channels are."""
        return next((i for i, extent in enumerate(self.shape or ()) if extent != 1), 0)


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model's graph.

    Attributes:
        inputs, constants: those with a role, by it; results: the roles of the outputs, in order.
        attributes: of nodes, that are set for each layer: "epsilon", "momentum".
        trains: whether a node is in training mode; opset: of the default domain.
        x: the input; channels: their number where it is fixed; axis: of x.
    """

    inputs: Mapping[str, Array]
    constants: Mapping[str, Array]
    results: Tuple[str, ...]
    attributes: Tuple[str, ...]
    trains: bool
    opset: int

    @property
    def x(self) -> Array:
        return self.inputs["x"]

    @property
    def parameters(self) -> List[Array]:
        """Gamma, beta and the running statistics, as far as the graph has them."""
        return [a for role in PARAMETERS for a in (self.inputs.get(role), self.constants.get(role)) if a is not None]

    @property
    def channels(self) -> Optional[int]:
        extents: List[Any] = [(a.shape or (None,))[a.axis] for a in self.parameters]
        if self.x.shape is not None:
            extents.append(self.x.shape[self.axis])
        return next((n for n in extents if isinstance(n, int)), None)

    @property
    def axis(self) -> int:
        shape = self.x.shape or ()
        if len(shape) < 2:
            return 1
        extents = {(a.shape or (None,))[a.axis] for a in self.parameters} - {None}
        return next((a for a in (1, len(shape) - 1) if shape[a] in extents), 1)


def graph_of(onnx: Any, model: Any, where: str) -> Graph:
    """What a model's graph is. Raises UsageError: something that it takes or holds cannot be told."""
    every = list(nodes_of(model.graph))
    nodes = [n for n in every if n.op_type == NODE]
    opset = next((s.version for s in model.opset_import if s.domain in ("", "ai.onnx")), 0)
    placed = {name: role for node in nodes[:1] for name, role in zip(node.input, ORDER)}
    inputs = inputs_of(onnx, model, placed, where)
    attributes = tuple(dict.fromkeys(a for n in every for a in ATTRIBUTES.get(n.op_type, ())))
    constants = constants_of(onnx, model, placed, where, "epsilon" in (*inputs, *attributes))
    both = sorted(set(inputs) & set(constants))
    if both:
        raise UsageError(
            "%s takes %s, and holds it, too." % (where, both[0]),
            "which of them is meant is not told.",
            "leave one of them.",
        )
    trains = any(
        any(a.name == "training_mode" and a.i for a in n.attribute)
        or (opset < TRAINING_MODE and sum(1 for o in n.output if o) > 1)
        for n in nodes
    )
    graph = Graph(inputs, constants, results_of(model, where), attributes, trains, opset)
    moved = {"new_running_mean", "new_running_var"} & set(graph.results)
    if moved and not {"momentum", "decay"} & {*inputs, *constants, *attributes}:
        raise UsageError(
            "%s does not say its momentum." % where,
            "it gives running statistics, and none of its inputs and constants is called momentum or decay.",
            "name the number: momentum, or decay for the weight of the old value.",
        )
    return graph


def inputs_of(onnx: Any, model: Any, placed: Mapping[str, str], where: str) -> Dict[str, Array]:
    """The inputs that a caller gives, by role. Raises UsageError: one is unknown, two are the same, or none is x."""
    held = {t.name for t in model.graph.initializer}
    given = [v for v in model.graph.input if v.name not in held]
    found: Dict[str, Array] = {}
    for value in given:
        role = named(value.name, TAKEN) or placed.get(value.name, "") or ("x" if len(given) == 1 else "")
        if not role:
            raise UsageError(
                "%s takes %r, and what that is cannot be told from its name." % (where, value.name),
                "inputs are x, scale, B, input_mean, input_var, epsilon, momentum and training_mode.",
                "rename it.",
            )
        add(found, role, array_of(onnx, value, where), "takes", where)
    if "x" not in found:
        raise UsageError(
            "%s takes no x." % where, "its inputs are %s." % (", ".join(v.name for v in given) or "none"), "call one x."
        )
    return found


def constants_of(onnx: Any, model: Any, placed: Mapping[str, str], where: str, has_epsilon: bool) -> Dict[str, Array]:
    """The constants that are parameters or numbers of the layer, by role. Raises UsageError: there are others, which are not known."""
    found: Dict[str, Array] = {}
    unknown: List[str] = []
    nameless: List[Tuple[float, Array]] = []
    for tensor in model.graph.initializer:
        array = Array(tensor.name, dtype_name(onnx, tensor.data_type, where), tuple(tensor.dims))
        if array.dtype not in ("float64", "float32", "float16", "bfloat16"):
            continue
        role = named(tensor.name, (*PARAMETERS, *NUMBERS)) or placed.get(tensor.name, "")
        size = int(np.prod(array.shape or (), dtype=np.int64))
        vector = sum(1 for extent in array.shape or () if extent != 1) <= 1 and bool(array.shape)
        if (role in PARAMETERS and vector) or (role in NUMBERS and size == 1):
            add(found, role, array, "holds", where)
        elif size > 1:
            unknown.append(tensor.name)
        else:
            nameless.append((float(onnx.numpy_helper.to_array(tensor).reshape(-1)[0]), array))
    for graph in (g for n in nodes_of(model.graph) for g in inner_graphs(n)):
        tensors = [*graph.initializer, *(t for n in graph.node if (t := constant(onnx, n)) is not None)]
        unknown += [t.name for t in tensors if t.data_type not in INTEGERS and np.prod(t.dims, dtype=np.int64) > 1]
    if unknown:
        raise UsageError(
            "%s holds %r, and what that is cannot be told." % (where, unknown[0]),
            "constants are called scale, B, input_mean and input_var, or are inputs of a BatchNormalization node; "
            "statistics that were folded into other weights are none of these.",
            "rename them, or export without constant folding.",
        )
    able = [array for value, array in nameless if 0.0 < value <= EPSILON_AT_MOST]
    if "epsilon" not in found and not has_epsilon and able:
        if len(able) > 1:
            raise UsageError(
                "%s does not say its epsilon." % where,
                "%s may be it." % " or ".join(a.name for a in able),
                "call the constant epsilon.",
            )
        found["epsilon"] = able[0]
    return found


def results_of(model: Any, where: str) -> Tuple[str, ...]:
    """The roles of the outputs: by their names, and where these say nothing, by their order."""
    roles = [result_named(v.name) for v in model.graph.output]
    if roles and not all(roles) and len(roles) in (1, len(RESULTS)):
        roles = [role or RESULTS[i] for i, role in enumerate(roles)]
    if len(set(roles)) < len(roles) or "y" not in roles or not all(roles):
        raise UsageError(
            "%s gives %s." % (where, ", ".join(v.name for v in model.graph.output) or "nothing"),
            "its outputs are y and, where it trains, running_mean and running_var.",
            "rename them.",
        )
    return tuple(roles)


def named(name: str, among: Sequence[str]) -> str:
    """The role that a name says, of those that may be meant: that of its last part."""
    role = role_of(PARTS.split(name)[-1])
    return role if role in among else ""


def result_named(name: str) -> str:
    """The role of an output; "" where its name says none."""
    role = named(name, (*OUTPUTS, *NEW))
    return NEW.get(role, role)


def add(found: Dict[str, Array], role: str, array: Array, verb: str, where: str) -> None:
    """Put it under its role. Raises UsageError: another has it."""
    if role in found:
        names = "%s and %s" % (found[role].name, array.name)
        raise UsageError("%s %s %s twice." % (where, verb, role), "%s are names of the same." % names, "rename one.")
    found[role] = array


def array_of(onnx: Any, value: Any, where: str) -> Array:
    """A declared input. Raises UsageError: it is no tensor."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise UsageError(
            "%s takes %r, which is no tensor." % (where, value.name), "only arrays can be given to it.", "take arrays."
        )
    shape = None
    if kind.HasField("shape"):
        shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in kind.shape.dim)
    return Array(value.name, dtype_name(onnx, kind.elem_type, where), shape)


def dtype_name(onnx: Any, number: int, where: str) -> str:
    """NumPy's name of ONNX's number of a dtype. Raises UsageError: it has none."""
    try:
        return str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number)).name)
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            "%s holds elements of a type without a name, %d." % (where, number),
            "NumPy has no such type.",
            "use floats.",
        ) from None


def nodes_of(graph: Any) -> Iterator[Any]:
    """All nodes, those of branches and loops among them."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from nodes_of(inner)


def inner_graphs(node: Any) -> List[Any]:
    """The graphs that a node has as attributes: the branches of If, the body of Loop."""
    return [a.g for a in node.attribute if a.HasField("g")]


def lifted(onnx: Any, model: Any) -> Any:
    """The model with its Constant nodes as initializers: they are the same, and have names that can be set."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    for node in model.graph.node:
        tensor = constant(onnx, node)
        if tensor is None:
            made.graph.node.append(node)
        else:
            made.graph.initializer.append(tensor)
    return made


def constant(onnx: Any, node: Any) -> Any:
    """The tensor of a Constant node; None for other nodes."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if "value" in values:
        tensor = onnx.TensorProto()
        tensor.CopyFrom(values["value"])
        tensor.name = node.output[0]
        return tensor
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    found = next((np.asarray(v, kinds[n]) for n, v in values.items() if n in kinds), None)
    return None if found is None else onnx.numpy_helper.from_array(found, node.output[0])


def with_values(onnx: Any, model: Any, graph: Graph, values: Mapping[str, Any]) -> Any:
    """The model with a layer's parameters and numbers as its constants and attributes."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    replaced = {graph.constants[role].name: values[role] for role in graph.constants}
    for tensor in made.graph.initializer:
        if tensor.name in replaced:
            tensor.CopyFrom(onnx.numpy_helper.from_array(replaced[tensor.name], tensor.name))
    for node in nodes_of(made.graph):
        for name in ATTRIBUTES.get(node.op_type, ()):
            kept = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute(name, float(values[name]))])
    return made
