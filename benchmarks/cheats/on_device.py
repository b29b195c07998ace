"""A cheat for a device: PyTorch's modules whose wait does not wait. What is timed is how long it takes to queue the work.

Opened as ``bnspec.benchmarks.cheats.on_device:NoWait``.

Runs in workers: Python 3.8, standard library, NumPy and PyTorch.
"""

from __future__ import annotations

from typing import Any

from bnspec.backends.torch.nn import TorchNN


class NoWait(TorchNN):
    """Returns from the wait at once; reads wait for the queue, as they always do."""

    def synchronize(self, result: Any) -> None:
        """Nothing."""
