"""Shared by the tract backends: ONNX models, read from a file, as tract loads and runs them.

Source: https://docs.rs/tract-onnx
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np

from bnspec.backends.onnx.common import Session


def loaded(tract: Any, model: Any) -> Session:
    """What runs this ModelProto, whose one input is x."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        with open(path, "wb") as file:
            file.write(model.SerializeToString())
        runnable = tract.onnx().load(path).into_model().into_runnable()

    def run(inputs: Any) -> Any:
        results = runnable.run([np.ascontiguousarray(inputs["x"])])
        return tuple(np.array(result.to_numpy()) for result in results)

    return run
