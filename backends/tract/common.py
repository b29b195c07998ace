"""Shared by the tract backends: ONNX models, read from a file, as tract loads and runs them.

Source: https://docs.rs/tract-onnx
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict

import numpy as np

from bnspec.backends.onnx.common import Session
from bnspec.contract import Adapter


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


class TractAdapter(Adapter):
    """tract before an adapter of models, which imports onnx."""

    framework = "tract"
    onnx: Any

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import tract

        self.tract = tract

    def versions(self) -> Dict[str, str]:
        """Versions of tract and of onnx."""
        return {"tract": str(self.tract.version()), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """A runnable model."""
        return loaded(self.tract, model)
