"""A layer base class that implements the contract's derivatives once, with the mode as an argument."""

from __future__ import annotations

import abc
from typing import Any, Tuple

from bnspec.contract import Declined, Gradients, Layer, SecondOrder, Tangent
from bnspec.model.call import Mode

#: The names of the gradients, in the order of x, gamma and beta.
GRADIENTS = Gradients._fields[1:]


class LayerByMode(Layer):
    """Every derivative of the contract by one method with the mode, "training" or "inference", as its argument.

    Subclasses define ``gradients``, ``training``, ``inference`` and ``state``; the other methods decline by default. In mode
    "training" each call moves the running statistics once; in mode "inference" none does.
    """

    @abc.abstractmethod
    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """Forward and backward."""

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Forward, and a backward pass for the wanted gradients only."""
        raise Declined("this layer offers no such derivative")

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """Forward, a training step on ``other``, and the backward pass of the first."""
        raise Declined("this layer offers no such derivative")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """The gradients of <v, dx>: the backward pass, differentiated."""
        raise Declined("this layer offers no such derivative")

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """y and its derivative along v in x, in forward mode."""
        raise Declined("this layer offers no such derivative")

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in training mode."""
        return self.gradients(x, dy, "training")

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in inference mode."""
        return self.gradients(x, dy, "inference")

    def training_some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """The wanted gradients in training mode."""
        return self.some_gradients(x, dy, wanted, "training")

    def inference_some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """The wanted gradients in inference mode."""
        return self.some_gradients(x, dy, wanted, "inference")

    def training_late_gradients(self, x: Any, dy: Any, other: Any) -> Gradients:
        """Gradients of a pass in training mode, after another step."""
        return self.late_gradients(x, dy, other, "training")

    def inference_late_gradients(self, x: Any, dy: Any, other: Any) -> Gradients:
        """Gradients of a pass in inference mode, after a step."""
        return self.late_gradients(x, dy, other, "inference")

    def training_second_order(self, x: Any, dy: Any, v: Any) -> SecondOrder:
        """The gradients of <v, dx> in training mode."""
        return self.second_order(x, dy, v, "training")

    def inference_second_order(self, x: Any, dy: Any, v: Any) -> SecondOrder:
        """The gradients of <v, dx> in inference mode."""
        return self.second_order(x, dy, v, "inference")

    def training_tangent(self, x: Any, v: Any) -> Tangent:
        """y and its derivative along v in training mode."""
        return self.tangent(x, v, "training")

    def inference_tangent(self, x: Any, v: Any) -> Tangent:
        """y and its derivative along v in inference mode."""
        return self.tangent(x, v, "inference")
