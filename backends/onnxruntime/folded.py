"""``onnxruntime.folded`` and ``onnxruntime.folded.transposed``: a convolution and the node after it, as ONNX Runtime loads them.

Its graph optimizations, all of them by default, make one convolution of both.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html
"""

from __future__ import annotations

from bnspec.backends.onnxruntime.common import RuntimeFolding


class RuntimeFolded(RuntimeFolding):
    """After a convolution."""


class RuntimeFoldedTransposed(RuntimeFolding):
    """After a transposed convolution."""

    transposed = True
