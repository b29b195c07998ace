"""Scripts with the module ``MNN.nn.batch_norm``."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step

#: The module's parameters, in its order.
PARAMETERS = ("gamma", "beta", "running_var", "running_mean")


class ModuleWriter(Writer):
    """The module, which holds its own state; arrays are NumPy's."""

    packages = ("MNN",)
    imports = ("import MNN",)

    def preamble(self) -> Lines:
        """Graphs are lazy, as gradients need them."""
        return ["F = MNN.expr", "F.lazy_eval(True)"]

    def tensor(self, value: Literal) -> str:
        """A packed NumPy array."""
        text = numpy_expression(value, f'"{value.dtype}"')
        return f"np.ascontiguousarray({text})" if value.permuted or value.flipped or value.strided else text

    def build(self) -> Lines:
        """The module. Raises NoScript: a scaler is asked for."""
        config = self.config
        if self.case.subject != "batch_norm":
            raise NoScript("MNN has no input normalization")
        made = f"MNN.nn.batch_norm({config.channels}, {config.rank}, {config.decay!r}, {config.epsilon!r})"
        return [f"layer = {made}", *self.restart()]

    def restart(self) -> Lines:
        """The module's parameters and statistics."""
        shape = [1, self.config.channels, *[1] * (self.config.rank - 2)]
        given = ", ".join(self.array(name) for name in PARAMETERS)
        return [f"layer.load_parameters([F.const(a, {shape}, F.NCHW) for a in ({given})])"]

    def call(self, step: Step, y: str) -> Lines:
        """A call, and its gradients."""
        x, *dy = (self.given(n) for n in step.inputs)
        mode = f"layer.train({step.call.mode == 'training'})"
        given = f"given = F.const({x}, list({x}.shape), F.NCHW)"
        if not dy or (self.compact and not self.wants_gradient()):
            return [mode, given, f"{y} = layer.forward(given).read()"]
        if step.call.mode == "inference":
            raise NoScript("in inference gamma and beta are constants of the module's graph")
        return [
            mode,
            given,
            "made = layer.forward(given)",
            f"cotangent = F.const({dy[0]}, list({x}.shape), F.NCHW)",
            "found = MNN.optim.Grad(layer).grad([made], [cotangent], [given, *layer.parameters[:2]])[1]",
            f"{y}, dx, dgamma, dbeta = (v.read() for v in (made, *found))",
        ]

    def element(self, expression: str, index: str) -> str:
        """One element as a Python number; parameters have axes of extent 1."""
        flat = "" if "," in index else ".reshape(-1)"
        return f"float({expression}{flat}[{index}])"

    def variable(self, name: str) -> str:
        """The module's parameters."""
        if name in PARAMETERS:
            return f"layer.parameters[{PARAMETERS.index(name)}].read().reshape(-1)"
        return name
