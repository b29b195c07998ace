"""A small array in every memory layout, and cases of three channels on it."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from bnspec.contract import LayerConfig
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step


def layouts() -> dict[str, np.ndarray]:
    """Arrays of shape (4, 3) with the same values in every layout that NumPy can describe; and two special ones."""
    values = np.array([[1.5, -2.0, 0.25], [3.0, 0.5, -1.0], [0.0, -0.0, 7.0], [2.5, 6.0, -4.5]], np.float32)
    room = np.zeros(32, np.float32)
    offset = room[3:15].reshape(4, 3)
    offset[:] = values
    spaced = np.zeros((8, 9), np.float32)[::2, 1::3]
    spaced[:] = values
    return {
        "contiguous": values,
        "fortran": np.asfortranarray(values),
        "transposed": np.ascontiguousarray(values.T).T,
        "reversed": np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1],
        "offset": offset,
        "spaced": spaced,
        "expanded": np.broadcast_to(values[:1], (4, 3)),
        "windowed": np.lib.stride_tricks.as_strided(room[1:], (4, 3), (8, 4)),
        "bfloat16": values.astype(ml_dtypes.bfloat16),
        "empty": values[:0],
    }


def case_of(x: np.ndarray, *steps: Step, **more: np.ndarray) -> Case:
    """A case of three channels on x, and on more arrays where given."""
    name = x.dtype.name
    arrays = {"x": x, "gamma": np.array([1.0, 0.5, -2.0]), "beta": np.array([0.0, 1.0, 0.25])}
    arrays |= {"running_mean": np.zeros(3), "running_var": np.ones(3)}
    parameters = {n: a.astype(np.float32) for n, a in arrays.items() if n != "x"}
    config = LayerConfig(2, 1, 3, 2.0**-10, 0.75, name, "float32")
    return Case("batch_norm", config, {"x": x, **parameters, **more}, steps or (Step(TRAINING, ("x",)),))
