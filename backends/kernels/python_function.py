"""A function of Python as a procedure, over NumPy arrays, torch tensors or JAX arrays; it returns results, or writes into outputs.

Runs in workers: Python 3.8, standard library, NumPy and the framework of the kernel.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.procedure import Procedure, Values
from bnspec.backends.kernels.roles import ARRAYS, OUTPUTS, role_of, roles_of
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of


class Arrays:
    """NumPy arrays to those of a framework, and back; the memory is shared where the framework can."""

    framework = "numpy"

    def given(self, array: np.ndarray) -> Any:
        """The array as the kernel takes it."""
        return array

    def taken(self, result: Any) -> np.ndarray:
        """A result as a NumPy array, computed."""
        return np.asarray(result)


class TorchArrays(Arrays):
    """torch tensors over the same memory."""

    framework = "torch"

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def given(self, array: np.ndarray) -> Any:
        """A tensor over the array's memory; strides that torch lacks are packed."""
        if any(stride < 0 or stride % array.itemsize for stride in array.strides):
            array = array.copy(order="C")
        if array.dtype.name == "bfloat16":
            return self.torch.from_numpy(array.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(array)

    def taken(self, result: Any) -> np.ndarray:
        """The tensor's memory; other objects by DLPack or the array protocol."""
        if not isinstance(result, self.torch.Tensor):
            return np.asarray(result)
        host = result.detach().cpu()
        if host.dtype == self.torch.bfloat16:
            return host.view(self.torch.int16).numpy().view(dtype_of("bfloat16"))
        return host.numpy()


class JaxArrays(Arrays):
    """JAX arrays; they cannot be written to, and are copies."""

    framework = "jax"

    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jnp = jax.numpy

    def given(self, array: np.ndarray) -> Any:
        """A JAX array of these values."""
        return self.jnp.asarray(np.array(array))

    def taken(self, result: Any) -> np.ndarray:
        """The values, in memory that may be written to."""
        return np.array(result)


ARRAYS_OF = {"numpy": Arrays, "torch": TorchArrays, "jax": JaxArrays}


class PythonFunction(Procedure):
    """A function whose parameters tell by their names what they are.

    Args:
        function: the function; arrays: what it takes; backward: whether it is a backward pass.
        parameters: (name, whether it must be given) of each, where the function itself does not tell.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        owner: str,
        arrays: Arrays,
        backward: bool = False,
        parameters: Optional[Tuple[Tuple[str, bool], ...]] = None,
    ) -> None:
        self.function, self.owner, self.arrays = function, owner, arrays
        listed = parameters_of(function, owner) if parameters is None else parameters
        required, others = [n for n, must in listed if must], [n for n, must in listed if not must]
        self.roles = roles_of(owner, required, others, backward)
        self.takes = tuple(role for role in self.roles.values() if role not in OUTPUTS or (backward and role in SAVED))
        self.writes = tuple(role for role in self.roles.values() if role not in self.takes)
        self.optional = tuple(self.roles[n] for n in others if n in self.roles)
        self.returns: Tuple[str, ...] = self.writes

    def __call__(self, values: Values) -> Dict[str, Any]:
        """Call it with keywords, or in order where its parameters have no names for callers."""
        named = {name: values.get(role) for name, role in self.roles.items()}
        given = {n: self.arrays.given(v) if isinstance(v, np.ndarray) else v for n, v in named.items()}
        returned = self.function(**given)
        written = {self.roles[n]: self.arrays.taken(given[n]) for n in self.roles if self.roles[n] in self.writes}
        return {**written, **self.named(returned)}

    def named(self, returned: Any) -> Dict[str, Any]:
        """What was returned, by role or by number."""
        if returned is None:
            return {}
        if isinstance(returned, dict):
            unknown = [n for n in returned if role_of(str(n)) not in (*OUTPUTS, *ARRAYS)]
            if unknown:
                raise UsageError("%s returns %r, and what that is cannot be told." % (self.owner, unknown[0]))
            return {self.result(str(n)): self.arrays.taken(v) for n, v in returned.items()}
        if hasattr(returned, "_asdict") and all(role_of(n) for n in returned._fields):
            return {self.result(n): self.arrays.taken(v) for n, v in returned._asdict().items()}
        parts = returned if isinstance(returned, (tuple, list)) else (returned,)
        return {str(i): self.arrays.taken(v) for i, v in enumerate(parts) if v is not None}

    def result(self, name: str) -> str:
        """The role of a result of this name: a running statistic that is returned is the new one."""
        role = role_of(name)
        return {"running_mean": "new_running_mean", "running_var": "new_running_var"}.get(role, role)


#: Results of a forward pass that a backward pass takes.
SAVED = ("batch_mean", "batch_var", "inv_std", "y")


def parameters_of(function: Callable[..., Any], owner: str) -> Tuple[Tuple[str, bool], ...]:
    """(name, whether it must be given) of each parameter. Raises UsageError: the function has none that can be named."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise UsageError(
            "%s has no signature." % owner, "", "wrap it in a function whose parameters have names."
        ) from None
    found = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind == parameter.POSITIONAL_ONLY:
            raise UsageError(
                "%s takes %r by position only." % (owner, parameter.name), "", "wrap it in a function with names."
            )
        found.append((parameter.name, parameter.default is parameter.empty))
    return tuple(found)
