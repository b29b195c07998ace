"""Scripts of ONNX models of one BatchNormalization node, written in ONNX's text form, and run by the reference evaluator."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnx.common import TRAINS
from bnspec.model.call import Mode
from bnspec.model.case import Step

#: Element types in ONNX's text form.
TYPES = {"float64": "double", "float32": "float", "float16": "float16", "bfloat16": "bfloat16"}
#: The oldest file format of each opset that is written.
IR_VERSIONS = {7: 3, 9: 4, 14: 7, 15: 8}


class NodeWriter(Writer):
    """One model for each mode that the case calls; the statistics are the caller's. Subclasses define ``opset``."""

    packages: tuple[str, ...] = ("onnx",)
    imports: tuple[str, ...] = ("import onnx.parser", "from onnx.reference import ReferenceEvaluator")
    differentiates = False
    opset = 15
    #: What a node in training makes beside y.
    made: tuple[str, ...] = ("new_mean", "new_var")

    def tensor(self, value: Literal) -> str:
        """``np.array([...], "float32")``."""
        return numpy_expression(value, f'"{value.dtype}"')

    def build(self) -> Lines:
        """The models in use, the parameters, and the statistics."""
        if self.case.subject == "input_norm":
            raise NoScript("the node normalises batches, and has no input normalization")
        parameters = f'{{"scale": {self.array("gamma")}, "bias": {self.array("beta")}}}'
        return [*self.models(), f"parameters = {parameters}", *self.restart()]

    def models(self) -> Lines:
        """The models in use, each as what runs it."""
        used = [mode for mode in ("training", "inference") if mode in self.modes()]
        return [f"{mode} = {self.runner(string(self.model(mode)))}" for mode in used]

    def runner(self, text: str) -> str:
        """The expression of what runs the model of this text."""
        return f"ReferenceEvaluator(onnx.parser.parse_model({text})).run"

    def model(self, mode: Mode) -> str:
        """The model in ONNX's text form."""
        config = self.config
        x, other = TYPES[config.dtype], TYPES[config.parameter_dtype]
        shape = ",".join(str(config.channels) if axis == 1 else f"n{axis}" for axis in range(config.rank))
        inputs = [f"{x}[{shape}] x", *(f"{other}[{config.channels}] {n}" for n in ("scale", "bias", "mean", "var"))]
        outputs, options = [f"{x}[{shape}] y"], f"epsilon = {config.epsilon!r}, momentum = {config.decay!r}"
        if mode == "training":
            outputs += [f"{other}[{config.channels}] {n}" for n in self.made]
            options += ", training_mode = 1" if self.opset >= TRAINS else ""
        names = ", ".join(output.split()[1] for output in outputs)
        header = f'<ir_version: {IR_VERSIONS[self.opset]}, opset_import: ["" : {self.opset}]>'
        node = f"{names} = BatchNormalization <{options}> (x, scale, bias, mean, var)"
        return f"{header} layer ({', '.join(inputs)}) => ({', '.join(outputs)}) {{ {node} }}"

    def restart(self) -> Lines:
        """The statistics."""
        return [f"mean = {self.array('running_mean')}", f"var = {self.array('running_var')}"]

    def call(self, step: Step, y: str) -> Lines:
        """The model of the mode; in training its other outputs are the statistics. Raises NoScript: no gradients."""
        if step.call.has_gradients:
            raise NoScript("the node has no backward pass")
        inputs = f'{{"x": {self.given(step.inputs[0])}, **parameters, "mean": mean, "var": var}}'
        if step.call.mode == "training":
            return [f"{y}, mean, var{', *saved' * (len(self.made) > 2)} = training(None, {inputs})"]
        return [f"({y},) = inference(None, {inputs})"]

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which no call changes; a model with another momentum. Raises NoScript: what the node does not have."""
        lines = self.kept_aside(step, ("mean", "var"))
        return [*lines, *self.models()] if step.call.kind == "set_decay" else lines

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        named = {"gamma": 'parameters["scale"]', "beta": 'parameters["bias"]'}
        return {"running_mean": "mean", "running_var": "var", **named}.get(name, name)


#: What a node in training makes beside y, before opset 14.
FIVE = (*NodeWriter.made, "saved_mean", "saved_var")


class Opset7Writer(NodeWriter):
    """Opset 7."""

    opset, made = 7, FIVE


class Opset9Writer(NodeWriter):
    """Opset 9."""

    opset, made = 9, FIVE


class Opset14Writer(NodeWriter):
    """Opset 14."""

    opset = 14
