"""Scripts of PyTorch's modules as programs of ExecuTorch."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.rows import RowsWriter, joined
from bnspec.backends.harness.scripts.statements import Lines

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
