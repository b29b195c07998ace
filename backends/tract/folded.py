"""``tract.folded`` and ``tract.folded.transposed``: a convolution and the node after it, as tract loads them.

Source: https://docs.rs/tract-onnx
"""

from __future__ import annotations

from typing import Any, Dict

from bnspec.backends.onnx.common import Session
from bnspec.backends.onnx.folded import FoldedAdapter
from bnspec.backends.tract.common import loaded


class TractFolded(FoldedAdapter):
    """After a convolution."""

    framework = "tract"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import tract

        self.tract = tract

    def versions(self) -> Dict[str, str]:
        """Versions of tract and of onnx."""
        return {"tract": str(self.tract.version()), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """A runnable model."""
        return loaded(self.tract, model)


class TractFoldedTransposed(TractFolded):
    """After a transposed convolution."""

    transposed = True
