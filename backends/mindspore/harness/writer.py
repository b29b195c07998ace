"""Scripts with the cells of ``mindspore.nn`` and the operation ``BatchNorm`` on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step

CELLS = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}
#: The cell's names of the statistics.
STATISTICS = {"running_mean": "moving_mean", "running_var": "moving_variance"}


class CellWriter(Writer):
    """The cell of x's rank, which holds its own state."""

    packages = ("mindspore",)
    imports = ("import mindspore as ms",)
    environment = "GLOG_v=3"

    def preamble(self) -> Lines:
        """The mode and the device."""
        return ["ms.set_context(mode=ms.PYNATIVE_MODE)", 'ms.set_device("CPU")']

    def tensor(self, value: Literal) -> str:
        """``ms.Tensor([...], ms.float32)``; packed, as it reaches MindSpore."""
        if value.kind == "list" and not (value.permuted or value.flipped or value.strided):
            return f"ms.Tensor({value.text}, ms.{value.dtype})"
        dtype = f'"{value.dtype}"'
        return f"ms.Tensor(np.ascontiguousarray({numpy_expression(value, dtype)}))"

    def build(self) -> Lines:
        """The cell with these values. Raises NoScript: a scaler is asked for."""
        config = self.config
        if self.case.subject != "batch_norm":
            raise NoScript("MindSpore has no input normalization")
        options = f"eps={config.epsilon!r}, momentum={config.decay!r}, affine={config.affine}"
        made = f"ms.nn.{CELLS[config.rank]}({config.channels}, {options}, dtype=ms.{config.parameter_dtype})"
        names = {"gamma": "gamma", "beta": "beta"} if config.affine else {}
        return [f"layer = {made}", self.put({**names, **STATISTICS})]

    @property
    def owner(self) -> str:
        """The cell that has the parameters."""
        return "layer.bn2d" if self.config.rank == 5 else "layer"

    def restart(self) -> Lines:
        """The cell's statistics."""
        return [self.put(STATISTICS)]

    def put(self, names: dict[str, str]) -> Statement:
        """Lines that give the cell's parameters the values of arrays."""
        pairs = ", ".join(f"({self.owner}.{own}, {self.array(name)})" for name, own in names.items())
        return block(f"for parameter, value in ({pairs}):", ["parameter.set_data(value)"])

    def call(self, step: Step, y: str) -> Lines:
        """A call, and its gradients."""
        x, *dy = (self.given(n) for n in step.inputs)
        cell = f"layer.set_train({step.call.mode == 'training'})"
        if not dy or (self.compact and not self.wants_gradient()):
            return [f"{y} = {cell}({x})"]
        return [f"{y}, pullback = {self.recorded(cell, x)}", f"{self.names()} = pullback({dy[0]})"]

    def recorded(self, cell: str, x: str) -> str:
        """y and its pullback."""
        weights = f", weights=[{self.owner}.gamma, {self.owner}.beta]" if self.config.affine else ""
        return f"ms.vjp({cell}, {x}{weights})"

    def names(self) -> str:
        """What a pullback gives."""
        return "(dx,), (dgamma, dbeta)" if self.config.affine else "(dx,)"

    def late_gradients(self, step: Step, y: str) -> Lines:
        """A training step between a pass and its gradients."""
        x, dy, other = (self.given(n) for n in step.inputs)
        cell = f"layer.set_train({step.call.mode == 'training'})"
        return [
            f"{y}, pullback = {self.recorded(cell, x)}",
            f"layer.set_train(True)({other})",
            f"{self.names()} = pullback({dy})",
        ]

    def host(self, expression: str) -> str:
        """A result as a NumPy array."""
        return f"{expression}.asnumpy()"

    def wide(self, expression: str) -> str:
        """A result as a NumPy array of float64."""
        return f'{expression}.asnumpy().astype("float64")'

    def variable(self, name: str) -> str:
        """The cell's parameters."""
        own = {"gamma": "gamma", "beta": "beta", **STATISTICS}.get(name)
        return f"{self.owner}.{own}" if own else name


class RecomputeWriter(CellWriter):
    """The same after ``recompute``."""

    def build(self) -> Lines:
        """The cell with these values, which runs again in the backward pass."""
        return [*super().build(), "layer.recompute()"]

    def wants_gradient(self) -> bool:
        """Always: the backward pass is a second step."""
        return True


class SavedWriter(RowsWriter):
    """The operation in training, over the rows of a table."""

    packages = ("mindspore",)
    imports = CellWriter.imports
    environment = CellWriter.environment

    def preamble(self) -> Lines:
        """The mode and the device."""
        return ["ms.set_context(mode=ms.PYNATIVE_MODE)", 'ms.set_device("CPU")']

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The operation's second and third output."""
        channels = self.config.channels
        return [
            f"x = ms.Tensor({joined(tables)})",
            f"one, none = ms.ops.ones({channels}, x.dtype), ms.ops.zeros({channels}, x.dtype)",
            "outputs = ms.ops.BatchNorm(is_training=True)(x, one, none, none.copy(), one.copy())",
            "mean, var = (statistic.asnumpy() for statistic in outputs[1:3])",
        ]

    def applied(self, kind: str, table: str) -> str:
        """Raises NoScript: the statistics are what is asked for."""
        raise NoScript("no lines are written here for a transform: the operation's statistics are what is asked for")

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name
