"""Adapter classes of mutants and variants in another backend's memory, for workers.

``bnspec.conformance.selftest.catalogue.elsewhere:NAME@MODULE.CLASS``: the mutant, and the adapter whose tensors hold its arrays.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from bnspec.conformance.selftest.catalogue import adapters
from bnspec.conformance.selftest.reference.elsewhere import Elsewhere
from bnspec.errors import Declined, DeviceAbsent


def __getattr__(name: str) -> Any:
    """The adapter class of the mutant or variant of that name, there."""
    mutant, at, carrier = name.partition("@")
    module, _, class_name = carrier.rpartition(".")
    if not (at and module):
        raise AttributeError(name)
    return _elsewhere(getattr(adapters, mutant), getattr(importlib.import_module(module), class_name))


def _elsewhere(inner: type, carrier: type) -> type:
    """The class that opens both: the one on the host, the other on the device."""

    class Opened(Elsewhere):
        __doc__ = inner.__doc__

        def __init__(self, device: str = "cpu") -> None:
            there, sample = carrier(device), np.zeros(64, np.uint8)
            try:
                there.overwrite(there.tensor(sample), sample)
            except Declined as reason:
                raise DeviceAbsent("it cannot hold the arrays of mutants: " + reason.what) from None
            super().__init__(inner("cpu"), there)

    return Opened
