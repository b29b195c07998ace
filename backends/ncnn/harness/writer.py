"""Scripts with nets of one BatchNorm layer."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression, string
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.ncnn.inference import PARAM
from bnspec.model.case import Step


class SampleWriter(Writer):
    """One sample at a time."""

    packages = ("ncnn",)
    imports = ("import ncnn",)
    differentiates = False
    batch_index = ""

    def tensor(self, value: Literal) -> str:
        """A packed NumPy array."""
        text = numpy_expression(value, f'"{value.dtype}"')
        return f"np.ascontiguousarray({text})" if value.permuted or value.flipped or value.strided else text

    def build(self) -> Lines:
        """The net. Raises NoScript: a scaler is asked for."""
        if self.case.subject != "batch_norm":
            raise NoScript("ncnn has no input normalization")
        param = string(PARAM % (self.config.channels, self.config.epsilon)).replace("\\x0a", "\\n")
        values = ", ".join(self.array(name) for name in ("gamma", "running_mean", "running_var", "beta"))
        body = [
            "extractor = net.create_extractor()",
            f'extractor.input("in", ncnn.Mat(x{self.batch_index}).clone())',
            f'return np.array(extractor.extract("out")[1].numpy({self.batch_index.lstrip(", ")}))',
        ]
        return [
            f'np.concatenate([{values}]).tofile("layer.bin")',
            "net = ncnn.Net()",
            f"net.load_param_mem({param})",
            'net.load_model("layer.bin")',
            block("def run(x):", body),
        ]

    def restart(self) -> Lines:
        """Nothing: no call changes the net."""
        return []

    def call(self, step: Step, y: str) -> Lines:
        """One call for each sample. Raises NoScript: it trains."""
        if step.call.mode != "inference":
            raise NoScript("ncnn does not train")
        return [f"{y} = {self.ran(self.given(step.inputs[0]))}"]

    def ran(self, x: str) -> str:
        """y."""
        return f"np.stack([run(sample) for sample in {x}])"

    def variable(self, name: str) -> str:
        """What was given."""
        return name if name in ("dx", "dgamma", "dbeta") else self.array(name)


class BatchWriter(SampleWriter):
    """The whole batch at once."""

    batch_index = ", batch_index=0"

    def ran(self, x: str) -> str:
        """y."""
        return f"run({x})"
