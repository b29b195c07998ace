"""An ONNX model, run by ONNX Runtime where that is installed and takes it, otherwise by the reference evaluator of the onnx package.

Runs in workers: Python 3.8, standard library, NumPy, onnx and perhaps onnxruntime.

Source: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
"""

from __future__ import annotations

import collections
import warnings
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.offers import Offers, offers_of
from bnspec.backends.kernels.onnx_graph import PARAMETERS, Graph, graph_of, lifted, with_values
from bnspec.backends.kernels.procedure import Procedure, Values
from bnspec.backends.worker.exceptions import described
from bnspec.contract import Conventions, Declined
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of
from bnspec.model.call import Mode
from bnspec.model.conventions import HALVES

#: Sessions that are kept: one for each set of constants.
SESSIONS = 64
#: Runs a model on inputs by name.
Session = Callable[[Mapping[str, np.ndarray]], List[Any]]


class OnnxModel(FunctionAdapter):
    """The model of a file."""

    framework = "onnx"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """Its graph as the forward pass; ONNX has no backward passes."""
        import onnx

        model = loaded(onnx, kernel.path)
        return OnnxFunction(onnx, model, graph_of(onnx, model, kernel.path), Runner(onnx, model, kernel.path)), None

    @property
    def function(self) -> OnnxFunction:
        """The forward pass."""
        assert isinstance(self.forward_pass, OnnxFunction)
        return self.forward_pass

    def offers(self) -> Offers:
        """What the graph declares; tried where it leaves x's rank open."""
        graph = self.function.graph
        if graph.x.shape is None:
            return offers_of(self.forward_pass, graph.channels)
        rank, dtype = len(graph.x.shape), graph.x.dtype
        if rank < 2 or graph.axis not in (1, rank - 1):
            raise UsageError(
                "this model takes x of rank %d, and its channels on axis %s." % (rank, graph.axis),
                "x has rank 2 or more, and its channels on axis 1 or on the last.",
                "export it so.",
            )
        kinds = {a.dtype for a in graph.parameters} - {dtype}
        conventions = Conventions(
            empty_batch="unspecified",
            dtypes=(dtype,),  # type: ignore[arg-type]  # Conventions checks the words
            half_parameters=("float32",) if dtype in HALVES and kinds == {"float32"} else ("input",),
            ranks=(rank,),
            channel_axes="first" if graph.axis == 1 else "last",
            affine_optional="gamma" not in self.forward_pass.takes,
            mutable_tensors=False,
            momentum_weighs="old",
            gradient_modes=(),
        )
        return Offers(conventions, {})

    def versions(self) -> Dict[str, str]:
        """Of what runs the model, and of onnx."""
        return self.function.runner.versions()

    def found(self) -> Mapping[str, Any]:
        """What the file says that the harness asks by: extents of x, and what is set; and what runs it."""
        function = self.function
        shape = list(function.graph.x.shape or ())
        if shape and function.graph.channels is not None:
            shape[function.graph.axis] = function.graph.channels
        extents = [n if isinstance(n, int) else None for n in shape]
        return {
            "run_by": function.runner.words,
            "shape": extents,
            "dtype": function.graph.x.dtype,
            "replaced": sorted([*function.graph.constants, *function.graph.attributes]),
        }


class OnnxFunction(Procedure):
    """The graph as a function of roles."""

    def __init__(self, onnx: Any, model: Any, graph: Graph, runner: Runner) -> None:
        self.onnx, self.model, self.graph, self.runner = onnx, model, graph, runner
        self.owner = "this model"
        self.takes = tuple(dict.fromkeys((*graph.inputs, *graph.constants, *graph.attributes)))
        self.sessions: Dict[Any, Session] = collections.OrderedDict()

    @property
    def modes(self) -> Tuple[Mode, ...]:
        """What the graph is: of training where a node says so, or where it has no running statistics or gives new ones."""
        graph = self.graph
        if {"training", "inference"} & set(graph.inputs):
            return ("training", "inference")
        tracked = "running_mean" in self.takes and len(graph.results) == 1
        return ("inference",) if tracked and not graph.trains else ("training",)

    def __call__(self, values: Values) -> Dict[str, Any]:
        """The outputs by role. Raises Declined: x has another form."""
        graph, x = self.graph, np.asarray(values["x"])
        fits(graph, x)
        channels = x.shape[graph.axis]
        given = {role: array.like(self.value(role, values, array.dtype), channels) for role, array in graph.inputs.items() if role != "x"}  # fmt: skip
        inputs = {graph.inputs[role].name: value for role, value in given.items()}
        inputs[graph.x.name] = np.ascontiguousarray(x)
        results = self.session(values, channels)(inputs)
        return {role: np.asarray(result) for role, result in zip(graph.results, results)}

    def value(self, role: str, values: Values, dtype: str) -> np.ndarray:
        """The value of a role as the graph takes it. Raises Declined: its dtype is another."""
        value = values[role]
        if role not in PARAMETERS:
            return np.asarray(value, dtype_of(dtype))
        if value is None:
            raise Declined("this model takes %s, and this layer has none" % role)
        if value.dtype.name != dtype:
            raise Declined("this model takes %s in %s" % (role, dtype))
        return np.asarray(value)

    def session(self, values: Values, channels: int) -> Session:
        """The session of a layer's constants, made once."""
        graph = self.graph
        held: Dict[str, Any] = {role: array.like(self.value(role, values, array.dtype), channels) for role, array in graph.constants.items()}  # fmt: skip
        held.update({name: values[name] for name in graph.attributes})
        key = tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in held.values())
        if key not in self.sessions:
            if len(self.sessions) >= SESSIONS:
                self.sessions.pop(next(iter(self.sessions)))
            self.sessions[key] = self.runner.session(with_values(self.onnx, self.model, graph, held))
        return self.sessions[key]


class Runner:
    """What runs a model. Raises UsageError: nothing here does."""

    def __init__(self, onnx: Any, model: Any, where: str) -> None:
        self.onnx, self.refused = onnx, ""
        self.runtime: Any = None
        try:
            import onnxruntime

            self.runtime = onnxruntime
            self.session(model)
        except ImportError:
            pass
        except Exception as error:  # noqa: BLE001  # the runtime has exceptions of its own
            self.runtime, self.refused = None, " ".join(described(error).split())[:300]
        try:
            self.session(model)
        except Exception as error:  # noqa: BLE001  # whatever the evaluator raises for a model
            why = "%s; ONNX Runtime: %s" % (described(error), self.refused) if self.refused else described(error)
            raise UsageError("%s cannot be run." % where, "%s." % why, "use operators of ONNX's own domain.") from None

    @property
    def words(self) -> str:
        """What runs it, in a few words."""
        if self.runtime is not None:
            return "ONNX Runtime %s" % self.runtime.__version__
        why = ", since ONNX Runtime refuses it: %s" % self.refused if self.refused else ""
        return "the reference evaluator of onnx %s%s" % (self.onnx.__version__, why)

    def versions(self) -> Dict[str, str]:
        """Of the runtime, where it runs, and of onnx."""
        said = {"onnx": str(self.onnx.__version__)}
        return said if self.runtime is None else {"onnxruntime": str(self.runtime.__version__), **said}

    def session(self, model: Any) -> Session:
        """What runs this ModelProto."""
        if self.runtime is None:
            from onnx.reference import ReferenceEvaluator

            evaluator = ReferenceEvaluator(model)
            return lambda inputs: list(evaluator.run(None, dict(inputs)))
        options = self.runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        made = self.runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda inputs: list(made.run(None, dict(inputs)))


def loaded(onnx: Any, path: str) -> Any:
    """The model of a file, without functions and Constant nodes. Raises UsageError: it is none, or lies in several files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the text format is called experimental
            model = onnx.load(path, load_external_data=False)
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
            raise UsageError(
                "%s keeps its constants in other files." % path, "they are not read.", "save it as one file."
            )
        onnx.checker.check_model(model)
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001  # of protobuf, of the parser and of the checker
        words = " ".join(described(error).split())[:300]
        raise UsageError("%s is no ONNX model." % path, "%s." % words, "export it again.") from None
    return lifted(onnx, model)


def fits(graph: Graph, x: np.ndarray) -> None:
    """Raise Declined for an x that the graph does not take."""
    shape = graph.x.shape
    taken = shape is None or (
        len(shape) == x.ndim and all(n == m for n, m in zip(shape, x.shape) if isinstance(n, int))
    )
    if not taken or x.dtype.name != graph.x.dtype or graph.channels not in (None, x.shape[graph.axis]):
        extents = ", ".join(str(n) if n is not None else "?" for n in shape) if shape is not None else "..."
        raise Declined("this model takes x of shape (%s) in %s" % (extents, graph.x.dtype))
