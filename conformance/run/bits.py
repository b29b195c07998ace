"""Digests of observations: two releases that give the same bits have the same digests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import numpy as np

from bnspec.model import names
from bnspec.model.observation import Observation, StepResult
from bnspec.reports.run.bits import CaseBits

#: Hex digits that are kept of a digest.
DIGITS = 16
#: What the worker writes of an exception begins with the name of its class.
_CLASS = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*): ")


def bits_of(observation: Observation) -> CaseBits:
    """The digests of an observation's outputs and states, and how its other steps ended."""
    digests: dict[str, hashlib._Hash] = {}
    endings = []
    for i, step in enumerate(observation.steps):
        if step.status != "ok":
            endings.append(f"{i} {_ending(step)}")
            continue
        for name, array in (*step.outputs.items(), *step.after.items()):
            if names.fits(names.IDENTIFIER, name):
                digests.setdefault(name, hashlib.sha256()).update(b"".join(_canonical(i, array)))
    outputs = {name: digests[name].hexdigest()[:DIGITS] for name in sorted(digests)}
    return CaseBits(outputs, ", ".join(endings) or None)


def _ending(step: StepResult) -> str:
    """The status, and of an error its class."""
    found = _CLASS.match(step.message) if step.status == "error" else None
    return f"{step.status} {found[1][: names.CHARACTERS]}" if found else step.status


def _canonical(step: int, array: np.ndarray) -> Iterator[bytes]:
    """What is hashed of an array: where it stands, its dtype and shape, its values in C order, each NaN as the same one."""
    yield f"{step} {array.dtype.name} {array.shape};".encode()
    values = np.ascontiguousarray(array)
    if values.dtype.kind in "fV":  # V: what ml_dtypes adds
        unequal = values != values
        if unequal.any():
            values = np.where(unequal, np.asarray(np.nan, values.dtype), values)
    yield values.tobytes()
