"""Functions of a Python file, over NumPy arrays, torch tensors (Triton's launchers among them) or JAX arrays (Pallas).

Runs in workers: Python 3.8, standard library, NumPy and the framework of the kernel.
"""

from __future__ import annotations

from typing import Optional, Tuple

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.procedure import Procedure
from bnspec.backends.kernels.python_function import ARRAYS_OF, PythonFunction, TorchArrays, function_of
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
                "%s registers no operator %s." % (kernel.path, kernel.name),
                "its file was run, and torch.ops has no such name.",
                "name it as library::operator.",
            ) from None
        parameters = tuple((a.name, not a.has_default_value()) for a in operator._schema.arguments)
        return PythonFunction(operator, kernel.name, arrays, parameters=parameters, watched=kernel.watched), None
