"""Running a network's steps on an adapter, inside the worker.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.case import PARAMETERS, Case, Step
from bnspec.contract import Adapter, Network
from bnspec.errors import Declined, UsageError
from bnspec.observation import StepResult

VALUES = ("w1", "b1", *PARAMETERS, "w2", "b2")


class LiveNetwork:
    """A network with the tensors it was built from."""

    def __init__(self, adapter: Adapter, case: Case, arrays: dict[str, np.ndarray], step: Step) -> None:
        self.adapter, self.arrays = adapter, arrays
        values = {n: adapter.tensor(arrays[n]) for n in VALUES}
        kind, rate = str(step.option("network")), float(step.option("learning_rate"))
        self.network: Any = adapter.network(kind, case.config, rate, values)
        if not isinstance(self.network, Network):
            raise UsageError("network() returned %s, not a contract.Network" % type(self.network).__name__)

    def perform(self, step: Step) -> StepResult:
        """One step of training: the loss, and all values after it."""
        try:
            loss = self.network.learn(*(self.adapter.tensor(self.arrays[n]) for n in step.inputs))
            values = self.network.values()
            self.adapter.synchronize((loss, *values.values()))
            outputs = {n: np.array(self.adapter.array(values[n])) for n in VALUES}
            outputs["loss"] = np.array(self.adapter.array(loss)).reshape(())
        except Declined as reason:
            return StepResult("declined", reason.what)
        except Exception as error:  # whatever the backend raises is its observation
            return StepResult("error", ("%s: %s" % (type(error).__name__, " ".join(str(error).split())))[:300])
        return StepResult("ok", "", outputs)
