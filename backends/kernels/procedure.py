"""A procedure: a kernel's function as something that is called by roles, with NumPy arrays.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import abc
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.watch import Watch
from bnspec.contract import Declined, LayerConfig
from bnspec.model.call import Mode

#: Why gradients are declined.
NO_BACKWARD = "this kernel has no backward pass"
#: Arrays, numbers or None by role.
Values = Mapping[str, Any]


class Unknown(TypeError):
    """Raised for results of which it cannot be told what they are; its text says what was returned."""


class Procedure(abc.ABC):
    """One function of a kernel.

    Attributes:
        owner: its name, for messages; takes: the roles of its arguments; returns: the roles of its results, as far as they are known beforehand.
        optional: the arguments that may be absent.
        watch: of its memory, where that is raw.
        returned: what the last call returned, in words, where that is told: "a str".
    """

    owner: str = ""
    takes: Tuple[str, ...] = ()
    returns: Tuple[str, ...] = ()
    optional: Tuple[str, ...] = ()
    returned: str = ""
    watch: Optional[Watch] = None

    @abc.abstractmethod
    def __call__(self, values: Values) -> Dict[str, Any]:
        """The results by role. Results in order whose meaning is not known are called "0", "1", ..."""

    def differentiated(self, values: Values, dy: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """The results, and dx, dgamma and dbeta by the framework's own differentiation. Raises Declined: there is none."""
        raise Declined(NO_BACKWARD)

    def overruns(self) -> Tuple[str, ...]:
        """What calls since the last question read or wrote outside of their buffers."""
        return () if self.watch is None else self.watch.overruns()

    @property
    def modes(self) -> Tuple[Mode, ...]:
        """The modes in which the arguments allow it to be called."""
        if "training" in self.takes or "inference" in self.takes:
            return ("training", "inference")
        tracked = "running_mean" in self.takes
        averages = {"momentum", "decay"} & set(self.takes) or {"new_running_mean", "batch_mean"} & set(self.returns)
        return ("inference",) if tracked and not averages else ("training",)


def numbers(config: LayerConfig, mode: Mode, momentum_weighs: str, shape: Tuple[int, ...]) -> Dict[str, Any]:
    """The values of all roles that are numbers."""
    axis = config.channel_axis
    batch = shape[0] if axis else 1
    size = int(np.prod(shape, dtype=np.int64))
    count = size // max(config.channels, 1)
    return {
        "epsilon": config.epsilon,
        "momentum": 1.0 - config.decay if momentum_weighs == "new" else config.decay,
        "decay": config.decay,
        "training": mode == "training",
        "inference": mode == "inference",
        "batch": batch,
        "channels": config.channels,
        "positions": count // max(batch, 1),
        "count": count,
        "size": size,
    }
