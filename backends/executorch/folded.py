"""``executorch.folded``: a convolution and a BatchNorm module in eval(), which XNNPACK's partitioner makes one convolution.

    executorch.folded.transposed   after a transposed convolution

Source: https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-overview.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

from bnspec.backends.executorch.common import Exporter, versions
from bnspec.backends.torch.folded import TorchFolded


class ExecutorchFolded(TorchFolded):
    """After Conv1d and Conv2d."""

    framework = "executorch"
    conventions = dataclasses.replace(TorchFolded.conventions, dtypes=("float32",), ranks=(3, 4))

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.exporter = Exporter(self.torch, delegated=True)

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """The CPU alone."""
        return {"cpu": "ready"}

    def versions(self) -> Dict[str, str]:
        """Versions of ExecuTorch and of PyTorch."""
        return versions(self.torch)

    def folded(self, before: Any, module: Any) -> Any:
        """The program of both modules."""
        pair = self.torch.nn.Sequential(before, module).eval()
        return lambda given: self.exporter.program(pair, (given,))(given)


class ExecutorchFoldedTransposed(ExecutorchFolded):
    """After ConvTranspose2d, in pairs of channels where their number is even."""

    conventions = dataclasses.replace(ExecutorchFolded.conventions, ranks=(4,))
    before = "ConvTranspose%dd"
