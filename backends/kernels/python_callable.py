"""Functions of a Python file, over NumPy arrays, torch tensors (Triton's launchers among them) or JAX arrays (Pallas).

Runs in workers: Python 3.8, standard library, NumPy and the framework of the kernel.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any, Optional, Tuple

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.procedure import Procedure
from bnspec.backends.kernels.python_function import ARRAYS_OF, PythonFunction, TorchArrays
from bnspec.backends.worker.__main__ import load_file
from bnspec.errors import UsageError


class NumpyCallable(FunctionAdapter):
    """A function of NumPy arrays."""

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The named function, and its backward pass where the file has one."""
        module, arrays = load_file(kernel.path), ARRAYS_OF[kernel.arrays]()
        watched = kernel.watched and kernel.arrays == "torch"
        forward = PythonFunction(function_of(module, kernel.name), kernel.name, arrays, watched=watched)
        if not kernel.backward:
            return forward, None
        return forward, PythonFunction(
            function_of(module, kernel.backward), kernel.backward, arrays, True, watched=watched
        )


class TorchCallable(NumpyCallable):
    """A function of torch tensors."""

    framework = "torch"


class JaxCallable(NumpyCallable):
    """A function of JAX arrays."""

    framework = "jax"


class TorchOperator(FunctionAdapter):
    """An operator that the file registers with torch.library, by its name "library::operator"."""

    framework = "torch"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The operator, called through torch.ops by the names of its schema; its gradients are those that it registers."""
        load_file(kernel.path)
        arrays = TorchArrays()
        library, _, name = kernel.name.partition("::")
        try:
            operator = getattr(getattr(arrays.torch.ops, library), name).default
        except AttributeError:
            raise UsageError(
                "%s registers no operator %s." % (kernel.path, kernel.name), "", "name it as library::operator."
            ) from None
        parameters = tuple((a.name, not a.has_default_value()) for a in operator._schema.arguments)
        return PythonFunction(operator, kernel.name, arrays, parameters=parameters, watched=kernel.watched), None


class Solution(FunctionAdapter):
    """A solution.json of FlashInfer-Bench: its Python sources, unpacked into a folder of their own, and the function of its entry point."""

    framework = "torch"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The function of the entry point."""
        with tempfile.TemporaryDirectory(prefix="bnspec-solution-") as folder:
            with open(kernel.path, encoding="utf-8") as file:
                sources = json.load(file)["sources"]
            for source in sources:
                place = os.path.join(folder, source["path"])
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "w", encoding="utf-8") as file:
                    file.write(source["content"])
            path, _, name = kernel.name.partition("::")
            module = load_file(os.path.join(folder, path))
            function = function_of(module, name)
        arrays = ARRAYS_OF[kernel.arrays]()
        return PythonFunction(function, kernel.name, arrays, watched=kernel.watched and kernel.arrays == "torch"), None


def function_of(module: Any, name: str) -> Any:
    """The function of this name. Raises UsageError: there is none."""
    found = getattr(module, name, None)
    if not callable(found):
        raise UsageError("%s has no function %s." % (module.__file__, name), "", "name one that it defines.")
    return found
