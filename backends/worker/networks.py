"""Runs a network's training steps on an adapter, inside the worker.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from bnspec.backends.worker.devices import examine
from bnspec.backends.worker.exceptions import described
from bnspec.contract import Adapter, Network
from bnspec.errors import Declined, UsageError
from bnspec.model.case import Case, Step, network_values
from bnspec.model.observation import StepResult
from bnspec.model.vocabulary import NetworkKind


class LiveNetwork:
    """A built network with its tensors."""

    def __init__(self, adapter: Adapter, case: Case, arrays: Dict[str, np.ndarray], step: Step) -> None:
        self.adapter, self.arrays = adapter, arrays
        kind: NetworkKind = step.option("network")  # the case has validated it
        rate = float(step.option("learning_rate"))
        self.names = network_values(kind)
        values = {n: adapter.tensor(arrays[n]) for n in self.names}
        self.subject: Any = adapter.network(kind, case.config, rate, values)
        if not isinstance(self.subject, Network):
            raise UsageError("network() returned %s, not a contract.Network" % type(self.subject).__name__)

    def values(self) -> Dict[str, np.ndarray]:
        """Copies of all values, after waiting for them."""
        values = self.subject.values()
        self.adapter.synchronize(tuple(values.values()))
        return {n: np.array(self.adapter.array(values[n])) for n in self.names}

    def perform(self, step: Step, number: int) -> StepResult:
        """One training step: the loss, and all values after it; ``before`` holds the values before it."""
        try:
            before = self.values()
            loss = self.subject.learn(*(self.adapter.tensor(self.arrays[n]) for n in step.inputs))
            outputs = self.values()
            self.adapter.synchronize((loss,))
            outputs["loss"] = np.array(self.adapter.array(loss)).reshape(())
        except Declined as reason:
            return StepResult("declined", reason.what)
        except Exception as error:  # anything that the backend raises is its observation
            examine(self.adapter, error)
            return StepResult("error", described(error))
        return StepResult("ok", "", outputs, before)
