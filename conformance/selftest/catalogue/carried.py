"""Adapter classes of carried mutants and variants, whose arrays lie in the tensors of another backend; for workers.

``bnspec.conformance.selftest.catalogue.carried:NAME@MODULE.CLASS``: the mutant, and the adapter that carries its arrays.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from bnspec.conformance.selftest.catalogue import adapters
from bnspec.conformance.selftest.reference.carried_adapter import CarriedAdapter
from bnspec.errors import Declined, DeviceAbsent


def __getattr__(name: str) -> Any:
    """The adapter class of the mutant or variant of that name, carried."""
    mutant, at, carrier = name.partition("@")
    module, _, class_name = carrier.rpartition(".")
    if not (at and module):
        raise AttributeError(name)
    return _carried_class(getattr(adapters, mutant), getattr(importlib.import_module(module), class_name))


def _carried_class(inner: type, carrier: type) -> type:
    """The class that opens ``inner`` on the host and ``carrier`` on the device."""

    class Carried(CarriedAdapter):
        __doc__ = inner.__doc__

        def __init__(self, device: str = "cpu") -> None:
            opened, sample = carrier(device), np.zeros(64, np.uint8)
            try:
                opened.overwrite(opened.tensor(sample), sample)
            except Declined as reason:
                raise DeviceAbsent("it cannot hold the arrays of mutants: " + reason.what) from None
            super().__init__(inner("cpu"), opened)

    return Carried
