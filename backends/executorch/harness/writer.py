"""Scripts of PyTorch's modules as programs of ExecuTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.torch.harness.writer import ModuleWriter
from bnspec.model.call import INFERENCE
from bnspec.model.case import Step

PACKAGES = ("executorch", "torch")
RUNTIME = "from executorch.runtime import Runtime"
#: A method reads its program, and does not keep it.
LOADED = "program = Runtime.get().load_program(exported.buffer)"


class BatchWriter(RowsWriter):
    """A module without running statistics, by the portable kernels."""

    packages = PACKAGES
    imports = ("import torch", "from executorch.exir import to_edge", RUNTIME)

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The program for one table."""
        return [
            f"table = torch.tensor({joined(tables)})",
            f"module = torch.nn.BatchNorm1d({self.config.channels}, affine=False, track_running_stats=False).eval()",
            "exported = to_edge(torch.export.export(module, (table,))).to_executorch()",
            LOADED,
        ]

    def applied(self, kind: str, table: str) -> str:
        """The program's result. Raises NoScript: it has no inverse."""
        if kind == "inverse":
            raise NoScript("the module has no inverse")
        return f'program.load_method("forward").execute([torch.tensor({table})])[0].numpy()'

    def variable(self, name: str) -> str:
        """Raises NoScript: the module keeps no statistics."""
        raise NoScript("the module keeps no statistics")


class PortableWriter(ModuleWriter):
    """A module in eval() as a program."""

    packages = PACKAGES
    imports = BatchWriter.imports

    def devices(self) -> Sequence[str]:
        """The CPU alone."""
        return ("cpu",)

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """Packed: ExecuTorch refuses a stride of 0."""
        return array.copy(order="C")

    def perform(self, step: Step, y: str) -> Lines:
        """The program of the module for x, and its call. Raises NoScript: what is no inference."""
        if step.call != INFERENCE:
            raise NoScript("no lines are written here for anything but inference: the program is for inference")
        x = self.given(step.inputs[0])
        return [
            f"exported = to_edge(torch.export.export(layer.eval(), ({x},))).to_executorch()",
            LOADED,
            f'{y} = program.load_method("forward").execute([{x}])[0]',
        ]
