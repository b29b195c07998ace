"""``tract.folded`` and ``tract.folded.transposed``: a convolution and the node after it, as tract loads them.

Source: https://docs.rs/tract-onnx
"""

from __future__ import annotations

from bnspec.backends.onnx.folded import FoldedAdapter
from bnspec.backends.tract.common import TractAdapter


class TractFolded(TractAdapter, FoldedAdapter):
    """After a convolution."""


class TractFoldedTransposed(TractFolded):
    """After a transposed convolution."""

    transposed = True
