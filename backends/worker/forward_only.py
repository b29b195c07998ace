"""A layer base class for implementations without derivatives.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any

from bnspec.contract import Declined, Gradients, Layer

#: Why a case with gradients is declined.
NO_GRADIENTS = "this backend computes no gradients"
#: Why a training case is declined.
NO_TRAINING = "this backend is for inference only"


class ForwardOnly(Layer):
    """Declines all derivatives. Subclasses define ``training``, ``inference`` and ``state``."""

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(NO_GRADIENTS)

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(NO_GRADIENTS)


class InferenceOnly(ForwardOnly):
    """Declines training, too. Subclasses define ``inference`` and ``state``."""

    def training(self, x: Any) -> Any:
        """Raises Declined."""
        raise Declined(NO_TRAINING)
