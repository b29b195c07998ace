"""Scripts of PyTorch's modules in the forms that users run them: compiled, exported, recomputed, in an ensemble, channels last."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.torch.harness.writer import MODULES, ModuleWriter
from bnspec.model.case import Step

#: The parameters and buffers of an ensemble's members.
STACK = "weights, buffers = torch.func.stack_module_state([layer, layer])"


class CumulativeWriter(ModuleWriter):
    """The same modules without a momentum, after as many steps as the case's decay says; each step weighs its batch as the next one does."""

    def momentum(self) -> str:
        """None: the average is cumulative."""
        return "None"

    def build(self) -> Lines:
        """The module, and the number of its steps."""
        self.last_constructed = ""  # what is constructed anew counts anew
        return [*super().build(), *([] if self.initial else self.counted(self.config.decay))]

    def counted(self, decay: float) -> Lines:
        """The line after which t steps are counted, where the decay is t / (t + 1)."""
        return [f"layer.num_batches_tracked.fill_({round(decay / (1.0 - decay))})"]

    def call(self, step: Step, y: str) -> Lines:
        """The call; a step that is done is not counted."""
        back = ["layer.num_batches_tracked -= 1"] if step.call.mode == "training" and self.depends_on_state() else []
        return [*super().call(step, y), *back]

    def between(self, step: Step) -> Lines:
        """Another number of steps. Raises NoScript: a module that is reset begins to count again."""
        match step.call.kind:
            case "set_decay":
                return [*self.counted(float(step.option("decay"))), *self.with_decay(step)]
            case "reset":
                raise NoScript("a module that is reset begins to count again")
        return super().between(step)


class DecomposedWriter(ModuleWriter):
    """The same modules under torch.compile, decomposed and run eagerly."""

    options = 'backend="aot_eager_decomp_partition", dynamic=True, fullgraph=True'

    def build(self) -> Lines:
        """The module, and what torch.compile makes of it."""
        return [*super().build(), f"compiled = torch.compile(layer, {self.options})"]

    def forward(self, x: str, training: bool) -> str:
        """The compiled module's call."""
        return f"compiled.{'train' if training else 'eval'}()({x})"

    def between(self, step: Step) -> Lines:
        """Raises NoScript: the adapter offers nothing of the kind."""
        raise NoScript(f"{step.call} is not offered")


class CompileWriter(DecomposedWriter):
    """The same modules under torch.compile with its default backend."""

    options = "dynamic=True, fullgraph=True"


class ChannelsLastWriter(ModuleWriter):
    """The same modules, called with a view whose channels come first."""

    def forward(self, x: str, training: bool) -> str:
        """The module's call of the view, and the view back."""
        return f"layer.{'train' if training else 'eval'}()({x}.movedim(-1, 1)).movedim(1, -1)"


class ExportWriter(ModuleWriter):
    """The same modules as exported programs, which are called with the module's weights and buffers."""

    def build(self) -> Lines:
        """The module, and the function that exports it for an x and calls the program."""
        program = "torch.export.export(layer.train(training), (x.detach().clone(),)).module()"
        values = "dict([*layer.named_parameters(), *layer.named_buffers()])"
        body = [f"return torch.func.functional_call({program}, {values}, (x,))"]
        first = not self.last_constructed
        return [*super().build(), *([block("def exported(x, training):", body)] if first else [])]

    def forward(self, x: str, training: bool) -> str:
        """The program's call."""
        return f"exported({x}, {training})"


class ExportCumulativeWriter(ExportWriter, CumulativeWriter):
    """Exported modules without a momentum."""


class VmapWriter(ModuleWriter):
    """The same modules in an ensemble of two, by functional_call under vmap; the first member is looked at."""

    stacked = False

    def build(self) -> Lines:
        """The module, and the parameters and buffers of both members."""
        self.stacked = False
        lines = super().build()
        self.stacked = True
        return [*lines, STACK]

    def restart(self) -> Lines:
        """The module's buffers, and those of both members."""
        self.stacked = False
        lines = super().restart()
        self.stacked = True
        return [*lines, STACK]

    def call(self, step: Step, y: str) -> Lines:
        """The first member's results; training moves the buffers of both."""
        x, *dy = (self.given(n) for n in step.inputs)
        mode = f"layer.train({step.call.mode == 'training'})"
        moves = step.call.mode == "training" and self.depends_on_state()
        if not dy or ((self.compact or moves) and not self.wants_gradient()):
            called = f"lambda w, b: torch.func.functional_call(layer, (w, b), ({x},))"
            return [mode, f"{y} = torch.vmap({called})(weights, buffers)[0]"]
        if moves:
            raise NoScript("no lines are written here for the statistics beside gradients of an ensemble")
        copies = "{n: b.clone() for n, b in buffers.items()}"
        called = f"lambda w, x: torch.func.functional_call(layer, (w, {copies}), (x,))"
        body = [f"y, back = torch.func.vjp({called}, weights, {x})", f"return y, back({dy[0]})"]
        return [
            mode,
            block("def member(weights, buffers):", body),
            "both, (dw, dx) = torch.vmap(member)(weights, buffers)",
            f"{y} = both[0]",
        ]

    def tangent(self, step: Step, y: str) -> Lines:
        """torch.func.jvp inside vmap; its statistics are left."""
        x, v = (self.given(n) for n in step.inputs)
        copies = "{n: b.clone() for n, b in buffers.items()}"
        called = f"lambda x: torch.func.functional_call(layer, (weights, {copies}), (x,))"
        return [
            f"layer.train({step.call.mode == 'training'})",
            block("def member(weights, buffers):", [f"return torch.func.jvp({called}, ({x},), ({v},))"]),
            "both, tangents = torch.vmap(member)(weights, buffers)",
            f"{y} = both[0]",
            "along = tangents[0]",
        ]

    def perform(self, step: Step, y: str) -> Lines:
        """Lines of a step. Raises NoScript: what the adapter declines, and what is neither a pass nor a first derivative."""
        if step.call.kind not in ("forward", "gradients", "tangent"):
            raise NoScript(f"no lines are written here for {step.call} of an ensemble")
        return super().perform(step, y)

    def variable(self, name: str) -> str:
        """The module's until they are stacked, then the first member's."""
        members = {
            "gamma": 'weights["weight"][0]',
            "beta": 'weights["bias"][0]',
            "running_mean": 'buffers["running_mean"][0]',
            "running_var": 'buffers["running_var"][0]',
            "dx": "dx[0]",
            "dgamma": 'dw["weight"][0]',
            "dbeta": 'dw["bias"][0]',
        }
        return members.get(name, name) if self.stacked else super().variable(name)


class CheckpointWriter(ModuleWriter):
    """The same modules, computed again in the backward pass."""

    def forward(self, x: str, training: bool) -> str:
        """The module's call."""
        layer = f"layer.{'train' if training else 'eval'}()"
        return f"torch.utils.checkpoint.checkpoint({layer}, {x}, use_reentrant=False)"


class AutocastWriter(ModuleWriter):
    """The same modules under autocast."""

    def forward(self, x: str, training: bool) -> str:
        """The module's call."""
        return f'torch.autocast("{self.device}", torch.bfloat16)(layer.{"train" if training else "eval"}())({x})'


class DeterministicWriter(ModuleWriter):
    """The same modules where all algorithms are deterministic."""

    def preamble(self) -> Lines:
        """The mode of the process."""
        return [*super().preamble(), "torch.use_deterministic_algorithms(True)"]


class LazyWriter(ModuleWriter):
    """Lazy modules, whose values are loaded."""

    def constructed(self) -> str:
        """The module as constructed."""
        made = super().constructed()
        return made.replace(
            f"BatchNorm{MODULES[self.config.rank][9:]}({self.config.channels}, ", f"Lazy{MODULES[self.config.rank]}("
        )

    def build(self) -> Lines:
        """The module, with its values loaded."""
        if self.initial:
            raise NoScript("no lines are written here for a lazy module with the framework's own parameters and state")
        names = (
            ["gamma", "beta", "running_mean", "running_var"] if self.config.affine else ["running_mean", "running_var"]
        )
        return [self.constructed(), *self.put_in(names)]

    def put_in(self, names: Sequence[str]) -> Lines:
        """Parameters and buffers by load_state_dict, which copies."""
        values = ", ".join(f'"{self.variable(n)[6:]}": {self.array(n)}' for n in names)
        return [f"layer.load_state_dict({{{values}}}, strict=False)"]
