"""Scripts of PaddlePaddle's modules in the predictor of ``paddle.inference``."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.paddle.harness.writer import ModuleWriter
from bnspec.backends.worker.folding import mixing, pairs
from bnspec.model.case import Step


class PredictedWriter(ModuleWriter):
    """The module in eval(), saved and read again."""

    differentiates = False
    imports = (*ModuleWriter.imports, "from paddle import inference")
    saved = "layer"

    def build(self) -> Lines:
        """The module, and the predictor of what is saved."""
        config = self.config
        shape = ", ".join(str(config.channels) if axis == 1 else "None" for axis in range(config.rank))
        spec = f'paddle.static.InputSpec([{shape}], "float32", name="x")'
        return [
            *super().build(),
            *self.before(),
            f'paddle.jit.save({self.saved}.eval(), "layer", input_spec=[{spec}])',
            'predictor = inference.create_predictor(inference.Config("layer.json", "layer.pdiparams"))',
        ]

    def before(self) -> Lines:
        """Lines that make the layer before."""
        return []

    def forward(self, x: str, training: bool, recorded: bool) -> tuple[Lines, str]:
        """The predictor's result. Raises NoScript: there is inference alone."""
        if training or recorded:
            raise NoScript("no lines are written here for anything but inference: the predictor is for inference")
        return [], f"predictor.run([{x}])[0]"

    def between(self, step: Step) -> Lines:
        """Raises NoScript: the adapter offers nothing of the kind."""
        raise NoScript(f"no lines are written here for {step.call}")


class FoldedWriter(PredictedWriter):
    """The same after a convolution whose outputs are its inputs in another order."""

    kind = "Conv%dD"
    saved = "paddle.nn.Sequential(before, layer)"

    def groups(self) -> int:
        """As in the adapter."""
        return pairs(self.config.channels)

    def before(self) -> Lines:
        """The convolution."""
        channels, groups, spatial = self.config.channels, self.groups(), self.config.rank - 2
        sources, _ = mixing(channels, groups)
        size, outputs = channels // groups, np.arange(channels)
        rows, columns = (sources, outputs) if "Transpose" in self.kind else (outputs, sources)
        made = f"{self.kind % spatial}({channels}, {channels}, 1, groups={groups}, bias_attr=False)"
        weight = np.zeros((channels, size, *[1] * spatial))
        weight[rows, columns % size] = 1.0
        return [
            f"before = paddle.nn.{made}",
            f'before.weight.set_value(np.array({weight.tolist()}, "float32"))',
        ]

    def forward(self, x: str, training: bool, recorded: bool) -> tuple[Lines, str]:
        """The predictor's result of the input of which the convolution makes x."""
        sources, _ = mixing(self.config.channels, self.groups())
        order = np.argsort(sources).tolist()
        given = f"paddle.to_tensor({x}.numpy()[:, {order}])"
        return super().forward(given, training, recorded)


class TransposedWriter(FoldedWriter):
    """A transposed convolution."""

    kind = "Conv%dDTranspose"

    def groups(self) -> int:
        """As in the adapter."""
        return 1


class TransposedGroupedWriter(TransposedWriter):
    """A transposed convolution in groups."""

    def groups(self) -> int:
        """As in the adapter."""
        channels = self.config.channels
        return pairs(channels) if channels % 2 == 0 else channels
