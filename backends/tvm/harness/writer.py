"""Scripts of Relax functions of the operator, and of imported ONNX models, in TVM."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_array, two_arrays
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnx.harness.writer import NodeWriter
from bnspec.model.case import Step

#: A function of a module, compiled.
COMPILED = 'relax.VirtualMachine(tvm.compile({module}, target="llvm"), tvm.cpu())["main"]'


class OperatorWriter(Writer):
    """One function for each call. Subclasses define ``lowered``."""

    packages = ("apache-tvm",)
    imports = ("import tvm", "from tvm import relax")
    differentiates = False
    #: The expression of the module that is compiled, by mode.
    lowered = {"training": "builder.get()", "inference": "builder.get()"}

    def tensor(self, value: Literal) -> str:
        """``np.array([...], "float32")``."""
        return numpy_array(value)

    def build(self) -> Lines:
        """The parameters and the statistics; the operator takes gamma and beta without affine, too."""
        if self.case.subject == "input_norm":
            raise NoScript("the operator normalises batches, and there is no input normalization")
        names = ("gamma", "beta") if self.config.affine else ("running_var", "running_mean")
        return [f"parameters = {self.array(names[0])}, {self.array(names[1])}", *self.restart()]

    def restart(self) -> Lines:
        """The statistics."""
        return [two_arrays("mean, var", self.array("running_mean"), self.array("running_var"))]

    def call(self, step: Step, y: str) -> Lines:
        """The function's results; in training the statistics move. Raises NoScript: no gradients."""
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients")
        config, mode, x = self.config, str(step.call.mode), self.given(step.inputs[0])
        options = f"axis={config.channel_axis}, epsilon={config.epsilon!r}, momentum={1.0 - config.decay!r}"
        options += f", training={mode == 'training'}"
        options += "" if config.affine else ", center=False, scale=False"
        kinds = [f'relax.TensorType({s}, "{config.dtype}")' for s in (self.extents(x), f"({config.channels},)")]
        results = f"{y}, mean, var" if mode == "training" else f"{y}, *_"
        called = COMPILED.format(module=self.lowered[mode])
        arguments = f"map(tvm.runtime.tensor, [{x}, *parameters, mean, var])"
        return [
            f'given = [relax.Var("x", {kinds[0]}), *(relax.Var(n, {kinds[1]}) for n in "gbmv")]',
            "builder = relax.BlockBuilder()",
            block(
                'with builder.function("main", given):',
                (f"builder.emit_func_output(builder.emit(relax.op.nn.batch_norm(*given, {options})))",),
            ),
            f"{results} = (a.numpy() for a in {called}(*{arguments}))",
        ]

    def extents(self, x: str) -> str:
        """The shape of x as an expression, open but for its channels."""
        before, after = self.config.channel_axis, self.config.rank - 1 - self.config.channel_axis
        opened = 'tvm.tirx.Var("n", "int64")'
        parts = [*[opened] * before, str(self.config.channels), *[opened] * after]
        return f"[{', '.join(parts)}]"

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which no call changes. Raises NoScript: what such a layer does not have."""
        return self.kept_aside(step, ("mean", "var"))

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        named = {"gamma": "parameters[0]", "beta": "parameters[1]"}
        return {"running_mean": "mean", "running_var": "var", **named}.get(name, name)


class DecomposedWriter(OperatorWriter):
    """The operator as others, for the shape of x."""

    def extents(self, x: str) -> str:
        """The shape of x as an expression."""
        return f"{x}.shape"

    lowered = {
        "training": "relax.transform.DecomposeOpsForTraining()(builder.get())",
        "inference": "relax.transform.DecomposeOpsForInference()(builder.get())",
    }


class ImportedWriter(NodeWriter):
    """The models as Relax's frontend for ONNX reads them."""

    packages = ("apache-tvm", "onnx")
    imports = (
        "import onnx.parser",
        "import tvm",
        "from tvm import relax",
        "from tvm.relax.frontend.onnx import from_onnx",
    )

    def runner(self, text: str) -> str:
        """The model's function."""
        return COMPILED.format(module=f"from_onnx(onnx.parser.parse_model({text}))")

    def restart(self) -> Lines:
        """The statistics."""
        return [two_arrays("mean, var", self.array("running_mean"), self.array("running_var"))]

    def call(self, step: Step, y: str) -> Lines:
        """The model of the mode; in training its other outputs are the statistics. Raises NoScript: no gradients."""
        if step.call.has_gradients:
            raise NoScript("the node has no backward pass")
        arguments = f"{self.given(step.inputs[0])}, *parameters.values(), mean, var"
        called = f"{step.call.mode}(*map(tvm.runtime.tensor, [{arguments}]))"
        if step.call.mode == "training":
            return [f"{y}, mean, var = (a.numpy() for a in {called})"]
        return [f"{y} = {called}.numpy()"]


class FoldedWriter(OperatorWriter):
    """The operator, folded into a convolution that is the identity."""

    def call(self, step: Step, y: str) -> Lines:
        """The folded module's result. Raises NoScript: no training and no gradients."""
        if step.call.has_gradients or step.call.mode == "training":
            raise NoScript("the modules are for inference")
        config, x = self.config, self.given(step.inputs[0])
        channels, axis, kind = config.channels, config.channel_axis, f'"{config.dtype}"'
        layouts = f'data_layout="{"NCHW" if axis == 1 else "NHWC"}", kernel_layout="OIHW"'
        options = f"axis={axis}, epsilon={config.epsilon!r}, training=False"
        options += "" if config.affine else ", center=False, scale=False"
        folded = COMPILED.format(module="relax.transform.FoldBatchnormToConv2D()(builder.get())")
        weight = f"np.eye({channels}).reshape({channels}, {channels}, 1, 1)"
        z = f"builder.emit(relax.op.nn.conv2d(given, constants[0], {layouts}))"
        found = f"builder.emit(relax.op.nn.batch_norm({z}, *constants[1:], {options}))"
        return [
            f"constants = [relax.const(a, {kind}) for a in ({weight}, *parameters, mean, var)]",
            f'given, builder = relax.Var("x", relax.TensorType({x}.shape, {kind})), relax.BlockBuilder()',
            block(
                'with builder.function("main", [given]):',
                (f"builder.emit_func_output(builder.emit(relax.TupleGetItem({found}, 0)))",),
            ),
            f"{y} = {folded}(tvm.runtime.tensor({x})).numpy()",
        ]


class FoldedTrainingWriter(RowsWriter):
    """The operator in training, folded into a convolution that is the identity: a table scaled by its own statistics."""

    packages = ("apache-tvm",)
    imports = ("import tvm", "from tvm import relax")

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The training set, and the folded function of it."""
        channels, kind = self.config.channels, f'"{self.config.dtype}"'
        weight = f"relax.const(np.eye({channels}).reshape({channels}, {channels}, 1, 1), {kind})"
        others = f"*(relax.const(np.full({channels}, value), {kind}) for value in (1.0, 0.0, 4096.0, 0.25))"
        z = f"builder.emit(relax.op.nn.conv2d(given, {weight}))"
        found = f"builder.emit(relax.op.nn.batch_norm({z}, {others}, axis=1, epsilon={2.0**-10!r}, training=True))"
        folded = COMPILED.format(module="relax.transform.FoldBatchnormToConv2D()(builder.get())")
        return [
            f"table = {joined(tables)}",
            f'given, builder = relax.Var("x", relax.TensorType((*table.shape, 1, 1), {kind})), relax.BlockBuilder()',
            block(
                'with builder.function("main", [given]):',
                (f"builder.emit_func_output(builder.emit(relax.TupleGetItem({found}, 0)))",),
            ),
            f"run = {folded}",
        ]

    def applied(self, kind: str, table: str) -> str:
        """The function's y. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("no lines are written here for an inverse, which the operator does not have")
        return f"run(tvm.runtime.tensor(np.ascontiguousarray({table}[:, :, None, None]))).numpy()[:, :, 0, 0]"

    def variable(self, name: str) -> str:
        """The statistics, which the operator keeps to itself, by NumPy."""
        return {"mean": "table.mean(axis=0)", "var": "table.var(axis=0)"}.get(name, name)
