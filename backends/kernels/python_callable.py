"""Functions of a Python file, over NumPy arrays, torch tensors (Triton's launchers among them) or JAX arrays (Pallas).

Runs in workers: Python 3.8, standard library, NumPy and the framework of the kernel.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.procedure import Procedure
from bnspec.backends.kernels.python_function import ARRAYS_OF, PythonFunction
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


def function_of(module: Any, name: str) -> Any:
    """The function of this name. Raises UsageError: there is none."""
    found = getattr(module, name, None)
    if not callable(found):
        raise UsageError("%s has no function %s." % (module.__file__, name), "", "name one that it defines.")
    return found
