"""``tract.opset15.output``: a training node of BatchNormalization, for its y alone.

Source: https://docs.rs/tract-onnx
"""

from __future__ import annotations

from bnspec.backends.onnx.training_output import TrainingOutput
from bnspec.backends.tract.common import TractAdapter


class TractOutput(TractAdapter, TrainingOutput):
    """The node in a model that tract loads."""
