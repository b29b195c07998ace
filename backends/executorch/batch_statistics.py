"""``executorch.batch``: a BatchNorm1d without running statistics, exported: tables scaled by their own statistics.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from bnspec.backends.executorch.common import Exporter, Program, versions
from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter
from bnspec.contract import Conventions, Declined, LayerConfig

#: The module's default.
EPSILON = 1e-5


class ExecutorchBatch(ScalerAdapter):
    """The module without parameters, by the portable kernels."""

    framework = "executorch"
    conventions = Conventions(
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "float16"),
        half_parameters=("input",),
        input_normalization=True,
        input_epsilon=EPSILON,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import torch

        self.torch, self.exporter = torch, Exporter(torch)
        self.programs: Dict[Tuple[Any, ...], Program] = {}

    def versions(self) -> Dict[str, str]:
        """Versions of ExecuTorch and of PyTorch."""
        return versions(self.torch)

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The module, for one table."""
        return ScaledTable(config, self.scaled)

    def scaled(self, table: Any) -> Any:
        """The program's result. Raises Declined: one row, which PyTorch refuses wherever the batch's statistics normalise."""
        if len(table) == 1:
            raise Declined("PyTorch asks for more than one value per channel where the batch's statistics normalise")
        x = self.torch.from_numpy(np.array(table, order="C"))
        key = tuple(x.shape), x.dtype
        if key not in self.programs:
            module = self.torch.nn.BatchNorm1d(table.shape[1], EPSILON, affine=False, track_running_stats=False)
            self.programs[key] = self.exporter.program(module.eval(), (x,))
        return self.programs[key](x).numpy()
