"""Known deviations of ONNX Optimizer."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known

KNOWN: tuple[Known, ...] = ()
