"""Scripts in PaddlePaddle: the modules of ``paddle.nn``, and ``paddle.nn.functional.batch_norm``."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step

MODULES = {2: "BatchNorm1D", 3: "BatchNorm1D", 4: "BatchNorm2D", 5: "BatchNorm3D"}
#: data_format by rank, for channels first and last.
FORMATS = {2: ("NC", "NC"), 3: ("NCL", "NLC"), 4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}

#: The module's names of the running statistics.
STATISTICS = (("_mean", "running_mean"), ("_variance", "running_var"))


class PaddleWriter(Writer):
    """Tensors, and derivatives by paddle.grad. Subclasses give the forward pass and the names of parameters and statistics."""

    packages: tuple[str, ...] = ("paddle",)
    imports: tuple[str, ...] = ("import paddle",)

    def tensor(self, value: Literal) -> str:
        """``paddle.to_tensor([...], "float32")``; a view by NumPy, as it reaches PaddlePaddle."""
        if not (value.permuted or value.flipped or value.strided):
            match value.kind:
                case "list":
                    return f'paddle.to_tensor({value.text}, "{value.dtype}")'
                case "full":
                    return f'paddle.full({value.shape}, {value.text}, "{value.dtype}")'
                case "empty":
                    return f'paddle.empty({value.shape}, "{value.dtype}")'
        dtype = f'"{value.dtype}"'
        return f"paddle.to_tensor({numpy_expression(value, dtype)})"

    @property
    def options(self) -> str:
        """What a layer is given beside its arrays."""
        config = self.config
        place = FORMATS[config.rank][config.channel_axis != 1]
        return f'momentum={config.decay!r}, epsilon={config.epsilon!r}, data_format="{place}"'

    @abc.abstractmethod
    def forward(self, x: str, training: bool, recorded: bool) -> tuple[Lines, str]:
        """Lines before the pass, and the expression of y; ``recorded``: gradients are asked for."""

    def weights(self) -> list[str]:
        """gamma and beta, as the layer has them."""
        return [self.variable("gamma"), self.variable("beta")] if self.config.affine else []

    def call(self, step: Step, y: str) -> Lines:
        """A pass, and its gradients."""
        x, *dy = (self.given(n) for n in step.inputs)
        training = step.call.mode == "training"
        if not dy or (self.compact and not self.wants_gradient()):
            before, of = self.forward(x, training, recorded=False)
            return [*before, f"{y} = {of}"]
        before, of = self.forward(x, training, recorded=True)
        sources = ", ".join([x, *self.weights()])
        names = ", ".join(["dx", "dgamma", "dbeta"][: 1 + len(self.weights())])
        into = names if "," in names else f"({names},)"
        return [
            *self.watched([x]),
            *before,
            f"{y} = {of}",
            f"{into} = paddle.grad([{y}], [{sources}], [{dy[0]}])",
        ]

    def watched(self, names: Sequence[str]) -> list[str]:
        """Lines after which tensors have gradients."""
        return [f"{name}.stop_gradient = False" for name in names]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """paddle.grad by the only tensors that have gradients."""
        x, dy = (self.given(n) for n in step.inputs)
        leaves = dict(zip(("dx", "dgamma", "dbeta"), [x, *self.weights()]))
        before, of = self.forward(x, step.call.mode == "training", recorded=True)
        marks = [f"{leaf}.stop_gradient = {name not in wanted}" for name, leaf in leaves.items()]
        sources = ", ".join(leaves[n] for n in wanted)
        return [*marks, *before, f"{y} = {of}", f"({', '.join(wanted)},) = paddle.grad([{y}], [{sources}], [{dy}])"]

    def late_gradients(self, step: Step, y: str) -> Lines:
        """A training step between a pass and its gradients."""
        x, dy, other = (self.given(n) for n in step.inputs)
        before, of = self.forward(x, step.call.mode == "training", recorded=True)
        after, training = self.forward(other, training=True, recorded=False)
        names = ", ".join(["dx", "dgamma", "dbeta"][: 1 + len(self.weights())])
        return [
            *self.watched([x]),
            *before,
            f"{y} = {of}",
            block("with paddle.no_grad():", [*after, training]),
            f"{names if ',' in names else f'({names},)'} = paddle.grad([{y}], [{', '.join([x, *self.weights()])}], [{dy}])",
        ]

    def second_order(self, step: Step, y: str) -> Lines:
        """paddle.grad of the dx that create_graph recorded."""
        x, dy, v = (self.given(n) for n in step.inputs)
        before, of = self.forward(x, step.call.mode == "training", recorded=True)
        sources = [x, dy, *self.weights()[:1]]
        names = ", ".join(["by_x", "by_dy", "by_gamma"][: len(sources)])
        return [
            *self.watched([x, dy]),
            *before,
            f"(dx,) = paddle.grad([{of}], [{x}], [{dy}], create_graph=True)",
            f"{names} = paddle.grad([dx], [{', '.join(sources)}], [{v}], allow_unused=True)",
        ]

    def host(self, expression: str) -> str:
        """A result as a NumPy array."""
        return f"{expression}.numpy()"

    def wide(self, expression: str) -> str:
        """A result as a NumPy array of float64."""
        return f'{expression}.numpy().astype("float64")'


class ModuleWriter(PaddleWriter):
    """The module of x's rank."""

    def build(self) -> Lines:
        """The module with these values. Raises NoScript: a scaler is asked for."""
        config = self.config
        if self.case.subject == "input_norm":
            raise NoScript("PaddlePaddle has no input normalization")
        absent = "" if config.affine else ", weight_attr=False, bias_attr=False"
        default = (
            [] if config.parameter_dtype == "float32" else [f'paddle.set_default_dtype("{config.parameter_dtype}")']
        )
        made = f"layer = paddle.nn.{MODULES[config.rank]}({config.channels}, {self.options}{absent})"
        given = [("weight", "gamma"), ("bias", "beta")] if config.affine else []
        return [*default, made, *self.put([*given, *STATISTICS])]

    def restart(self) -> Lines:
        """The module's statistics."""
        return self.put(STATISTICS)

    def put(self, names: Sequence[tuple[str, str]]) -> Lines:
        """Lines that give the module's tensors the values of arrays."""
        pairs = ", ".join(f"(layer.{own}, {self.array(name)})" for own, name in names)
        return [block(f"for tensor, value in ({pairs}):", ["tensor.set_value(value)"])]

    def forward(self, x: str, training: bool, recorded: bool) -> tuple[Lines, str]:
        """The module's call in train() or eval(); an inference that records gradients is train() with use_global_stats."""
        if recorded and not training:
            return ["layer._use_global_stats = True", "layer.train()"], f"layer({x})"
        usual = ["layer._use_global_stats = None"] if recorded or len(self.modes()) > 1 else []
        return [*usual, "layer.train()" if training else "layer.eval()"], f"layer({x})"

    def between(self, step: Step) -> Lines:
        """Another momentum; a deep copy. Raises NoScript: what is not written."""
        match step.call.kind:
            case "set_decay":
                return [f"layer._momentum = {step.option('decay')!r}", *self.with_decay(step)]
            case "clone":
                self.extra.append("copy")
                return ["layer, other = copy.deepcopy(layer), layer"]
            case "swap":
                return ["layer, other = other, layer"]
        raise NoScript(f"no lines are written here for {step.call}")

    def variable(self, name: str) -> str:
        """The module's parameters and buffers."""
        own = {"gamma": "weight", "beta": "bias", "running_mean": "_mean", "running_var": "_variance"}.get(name)
        return f"layer.{own}" if own else name


class RecomputeWriter(ModuleWriter):
    """The same module under ``recompute``, which ``backward`` alone can differentiate.

    Attributes:
        source: what the last pass was differentiated by.
    """

    source = "x"
    imports = (*ModuleWriter.imports, "from paddle.distributed.fleet.utils import recompute")

    def call(self, step: Step, y: str) -> Lines:
        """A pass, and its gradients by ``backward``."""
        x, *dy = (self.given(n) for n in step.inputs)
        if not dy:
            return super().call(step, y)
        before, of = self.forward(x, step.call.mode == "training", recorded=True)
        self.source = x
        return [
            f"{x}.stop_gradient = False",
            *before,
            f"{y} = recompute({of.removesuffix(f'({x})')}, {x})",
            f"paddle.autograd.backward([{y}], [{dy[0]}])",
        ]

    def perform(self, step: Step, y: str) -> Lines:
        """Lines of a step. Raises NoScript: what the adapter declines."""
        if not step.call.between and step.call.kind not in ("forward", "gradients"):
            raise NoScript(f"no lines are written here for {step.call} of a recomputed module")
        return super().perform(step, y)

    def variable(self, name: str) -> str:
        """The gradients that ``backward`` leaves, the module's parameters and buffers."""
        left = {"dx": f"{self.source}.grad", "dgamma": "layer.weight.grad", "dbeta": "layer.bias.grad"}
        return left.get(name, super().variable(name))


class BatchWriter(ModuleWriter):
    """The module with use_global_stats=False."""

    @property
    def options(self) -> str:
        """What a layer is given beside its arrays."""
        return f"{super().options}, use_global_stats=False"

    def forward(self, x: str, training: bool, recorded: bool) -> tuple[Lines, str]:
        """The module's call in train() or eval()."""
        return ["layer.train()" if training else "layer.eval()"], f"layer({x})"


class FunctionWriter(PaddleWriter):
    """The function, which updates the running statistics in place."""

    def build(self) -> Lines:
        """The arrays. Raises NoScript: a scaler is asked for."""
        if self.case.subject == "input_norm":
            raise NoScript("PaddlePaddle has no input normalization")
        names = ("gamma", "beta") if self.config.affine else ()
        return [*(f"{n} = {self.array(n)}" for n in names), *self.restart()]

    def restart(self) -> Lines:
        """The running statistics."""
        return [f"mean = {self.array('running_mean')}", f"var = {self.array('running_var')}"]

    def forward(self, x: str, training: bool, recorded: bool) -> tuple[Lines, str]:
        """The function; an inference that records gradients is a training pass with use_global_stats."""
        weights = "gamma, beta" if self.config.affine else "None, None"
        mode = f"training={training or recorded}" + (", use_global_stats=True" if recorded and not training else "")
        return [], f"paddle.nn.functional.batch_norm({x}, mean, var, {weights}, {mode}, {self.options})"

    def watched(self, names: Sequence[str]) -> list[str]:
        """Lines after which tensors have gradients: the parameters are tensors, too."""
        return super().watched([*names, *self.weights()])

    def between(self, step: Step) -> Lines:
        """Another momentum. Raises NoScript: what is not written."""
        if step.call.kind == "set_decay":
            return self.with_decay(step)
        raise NoScript(f"no lines are written here for {step.call}")

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "mean", "running_var": "var"}.get(name, name)
