"""Scripts of StableHLO modules of one operation, whose statistics the caller averages, and of imported ONNX models in IREE."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_array, string, two_arrays
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.iree.common import OPTIONS
from bnspec.backends.iree.stablehlo import INFERENCE, TRAINING, TYPES
from bnspec.backends.onnx.harness.writer import NodeWriter
from bnspec.model.call import MODES
from bnspec.model.case import Step

#: The arguments of the compiler beside the module.
ARGUMENTS = f'target_backends=["llvm-cpu"], extra_args=[{", ".join(map(string, OPTIONS))}]'


class OperationWriter(Writer):
    """One module for each call."""

    packages = ("iree-base-compiler", "iree-base-runtime")
    imports = ("from iree import compiler, runtime",)
    differentiates = False

    def tensor(self, value: Literal) -> str:
        """``np.array([...], "float32")``."""
        return numpy_array(value)

    def build(self) -> Lines:
        """What compiles a module, the parameters, and the statistics."""
        if self.case.subject == "input_norm":
            raise NoScript("the operations normalise batches, and there is no input normalization")
        body = (
            f"binary = compiler.compile_str(text, {ARGUMENTS})",
            'return runtime.load_vm_flatbuffer(binary, driver="local-task").layer',
        )
        parameters = f"parameters = {self.array('gamma')}, {self.array('beta')}"
        return [block("def compiled(text):", body), parameters, *self.restart()]

    def restart(self) -> Lines:
        """The statistics."""
        return [two_arrays("mean, var", self.array("running_mean"), self.array("running_var"))]

    def module(self, template: str, extents: list[str]) -> str:
        """A call's module as a literal in one line."""
        kind, axis = TYPES[self.config.dtype], self.config.channel_axis
        x, c = ("tensor<" + "x".join([*shape, kind]) + ">" for shape in (extents, [str(self.config.channels)]))
        text = template.format(x=x, c=c, epsilon=f"{self.config.epsilon:.9e}", axis=axis)
        return string(" ".join(text.split()))

    def call(self, step: Step, y: str) -> Lines:
        """The module's results; in training the statistics move. Raises NoScript: no gradients."""
        if step.call.has_gradients:
            raise NoScript("IREE has no backward pass of these operations")
        x, given = self.case.arrays[step.inputs[0]], self.given(step.inputs[0])
        extents = [str(n) for n in x.shape]
        if step.call.mode == "training":
            run = f"compiled({self.module(TRAINING, extents)})({given}, *parameters)"
            lines = [f"{y}, *batch = map(np.asarray, {run})"]
            old, new = f"np.{x.dtype}({self.config.decay!r})", f"np.{x.dtype}({1.0 - self.config.decay!r})"
            moved = [f"mean, var = ({old} * a + {new} * b for a, b in zip((mean, var), batch))"] if x.size else []
            return lines + (moved if self.depends_on_state() else [])
        extents = [n if axis == self.config.channel_axis else "?" for axis, n in enumerate(extents)]
        return [f"{y} = np.asarray(compiled({self.module(INFERENCE, extents)})({given}, *parameters, mean, var))"]

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which no call changes. Raises NoScript: what such a layer does not have."""
        return self.kept_aside(step, ("mean", "var"))

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        named = {"gamma": "parameters[0]", "beta": "parameters[1]"}
        return {"running_mean": "mean", "running_var": "var", **named}.get(name, name)


class ImportedWriter(NodeWriter):
    """The models as IREE's importer reads them."""

    packages = ("iree-base-compiler", "iree-base-runtime", "onnx")
    imports = (
        "import onnx.parser",
        "from iree import compiler, runtime",
        "from iree.compiler.extras.onnx_importer import ModelInfo, NodeImporter",
    )

    def models(self) -> Lines:
        """The models in use, each as the function of its compiled module."""
        lines = []
        for mode in (m for m in MODES if m in self.modes()):
            compiled = f"compiler.compile_str(str(module), {ARGUMENTS})"
            lines += [
                f"info = ModelInfo(onnx.parser.parse_model({string(self.model(mode))}))",
                "module = info.create_module().operation",
                "NodeImporter.define_function(info.main_graph, module).import_all()",
                f'{mode} = runtime.load_vm_flatbuffer({compiled}, driver="local-task").layer',
            ]
        return lines

    def restart(self) -> Lines:
        """The statistics."""
        return [two_arrays("mean, var", self.array("running_mean"), self.array("running_var"))]

    def call(self, step: Step, y: str) -> Lines:
        """The model of the mode; in training its other outputs are the statistics. Raises NoScript: no gradients."""
        if step.call.has_gradients:
            raise NoScript("the node has no backward pass")
        called = f"{step.call.mode}({self.given(step.inputs[0])}, *parameters.values(), mean, var)"
        return [
            f"{y}, mean, var = map(np.asarray, {called})"
            if step.call.mode == "training"
            else f"{y} = np.asarray({called})"
        ]
