"""A function of Python as a procedure, over NumPy arrays, torch tensors or JAX arrays; it returns results, or writes into outputs.

Runs in workers: Python 3.8, standard library, NumPy and the framework of the kernel.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.procedure import NO_BACKWARD, Procedure, Unknown, Values
from bnspec.backends.kernels.roles import ARRAYS, OPEN, OUTPUTS, role_of, roles_of
from bnspec.backends.kernels.torch_allocations import TorchAllocations
from bnspec.backends.kernels.watch import Watch
from bnspec.errors import Declined, UsageError
from bnspec.model.buffers import dtype_of, overlap


class Arrays:
    """NumPy arrays to those of a framework, and back; the memory is shared where the framework can."""

    framework = "numpy"
    #: Whether a kernel takes packed arrays only.
    packed = False

    def given(self, array: np.ndarray) -> Any:
        """The array as the kernel takes it."""
        return array

    def taken(self, result: Any) -> np.ndarray:
        """A result as a NumPy array, computed."""
        return np.asarray(result)

    def allocations(self) -> Any:
        """What guards the arrays that a kernel allocates itself; None where that cannot be seen."""
        return None


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

    def allocations(self) -> Any:
        """Guards of torch.empty and its like."""
        return TorchAllocations(self)

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
        watched: whether its memory is between red zones, and its calls are repeated to find what it reads there.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        owner: str,
        arrays: Arrays,
        backward: bool = False,
        parameters: Optional[Tuple[Tuple[str, bool], ...]] = None,
        watched: bool = False,
    ) -> None:
        self.function, self.owner, self.arrays = function, owner, arrays
        self.watch = Watch(packed=arrays.packed, allocating=arrays.allocations()) if watched else None
        listed = parameters_of(function, owner) if parameters is None else parameters
        required, others = [n for n, must in listed if must], [n for n, must in listed if not must]
        self.roles = roles_of(owner, required, others, backward)
        self.takes = tuple(role for role in self.roles.values() if role not in OUTPUTS or (backward and role in SAVED))
        self.writes = tuple(role for role in self.roles.values() if role not in self.takes)
        self.optional = tuple(self.roles[n] for n in others if n in self.roles)
        self.returns: Tuple[str, ...] = self.writes

    def __call__(self, values: Values) -> Dict[str, Any]:
        """The results of the call, with keywords."""
        given = {role: values.get(role) for role in self.roles.values()}
        if self.watch is not None:
            return self.watch.call(self.run, given, self.writes)
        return self.run(given)

    def run(self, values: Values) -> Dict[str, Any]:
        """One call."""
        named = {name: values.get(role) for name, role in self.roles.items()}
        given = {n: self.arrays.given(v) if isinstance(v, np.ndarray) else v for n, v in named.items()}
        returned = self.function(**given)
        self.returned = words_for(returned)
        written = {self.roles[n]: self.arrays.taken(given[n]) for n in self.roles if self.roles[n] in self.writes}
        return {**written, **self.named(returned)}

    def differentiated(self, values: Values, dy: Any) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """The results and the gradients of torch.autograd. Raises Declined: y does not depend on x for it."""
        torch = getattr(self.arrays, "torch", None)
        if torch is None:
            raise Declined(NO_BACKWARD)
        named = {name: values.get(role) for name, role in self.roles.items()}
        given = {n: self.arrays.given(v) if isinstance(v, np.ndarray) else v for n, v in named.items()}
        leaves = {}
        for name, role in self.roles.items():
            value = named[name]
            if role in DIFFERENTIATED and value is not None:
                leaves[DIFFERENTIATED[role]] = given[name] = self.arrays.given(value).detach().requires_grad_()
        returned = self.function(**given)
        y = returned[0] if isinstance(returned, (tuple, list)) else returned
        if not isinstance(y, torch.Tensor) or y.grad_fn is None:
            raise Declined(NO_BACKWARD)
        gradients = gradients_of(torch, y, list(leaves.values()), self.arrays.given(dy))
        taken = {n: apart(self.arrays.taken(g), dy) for n, g in zip(leaves, gradients) if g is not None}
        return self.named(returned), taken

    def named(self, returned: Any) -> Dict[str, Any]:
        """What was returned, by role or by number."""
        if returned is None:
            return {}
        if isinstance(returned, dict):
            unknown = [n for n in returned if role_of(str(n)) not in (*OUTPUTS, *ARRAYS)]
            if unknown:
                raise Unknown("returned a dict with %.40r, and what that is cannot be told" % (unknown[0],))
            return {self.result(str(n), i): self.arrays.taken(v) for i, (n, v) in enumerate(returned.items())}
        if hasattr(returned, "_asdict") and all(role_of(n) for n in returned._fields):
            return {self.result(n, i): self.arrays.taken(v) for i, (n, v) in enumerate(returned._asdict().items())}
        parts = returned if isinstance(returned, (tuple, list)) else (returned,)
        return {str(i): self.arrays.taken(v) for i, v in enumerate(parts) if v is not None}

    def result(self, name: str, number: int) -> str:
        """The role of a result of this name: a running statistic that is returned is the new one; its number, where the name is open."""
        if name.lower().strip("_") in OPEN:
            return str(number)
        role = role_of(name)
        return {"running_mean": "new_running_mean", "running_var": "new_running_var"}.get(role, role)


def words_for(returned: Any) -> str:
    """What was returned, by its type: "None", "a str", "a list of 2: int, int"."""
    if returned is None:
        return "None"
    name = type(returned).__name__
    words = ("an " if name[:1] in "aeiou" else "a ") + name
    if isinstance(returned, (tuple, list)):
        kinds = [type(part).__name__ for part in returned]
        words += " of %d" % len(kinds) + (": " + ", ".join(kinds[:LISTED]) if kinds else "")
        words += ", ..." if len(kinds) > LISTED else ""
    return words


def apart(gradient: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """A gradient that whoever keeps it may write to: autograd hands on dy itself, as the gradient of a bias that was not broadcast."""
    return gradient.copy() if overlap(gradient, dy) else gradient


def gradients_of(torch: Any, y: Any, leaves: List[Any], dy: Any) -> Tuple[Any, ...]:
    """torch.autograd.grad. Raises Declined: an operator on the way has no autograd formula."""
    try:
        return tuple(torch.autograd.grad(y, leaves, dy, allow_unused=True))
    except RuntimeError as error:
        if "register_autograd" in str(error):
            raise Declined(NO_BACKWARD + ": it registers no autograd formula") from None
        raise


#: Parts of what was returned that are listed.
LISTED = 4
#: The gradient of each argument that has one.
DIFFERENTIATED = {"x": "dx", "gamma": "dgamma", "beta": "dbeta"}
#: Results of a forward pass that a backward pass takes.
SAVED = ("batch_mean", "batch_var", "inv_std", "y")


def parameters_of(function: Callable[..., Any], owner: str) -> Tuple[Tuple[str, bool], ...]:
    """(name, whether it must be given) of each parameter. Raises UsageError: the function has none that can be named."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise UsageError(
            "%s has no signature." % owner,
            "what it takes cannot be told.",
            "wrap it in a function whose parameters have names.",
        ) from None
    found = []
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind == parameter.POSITIONAL_ONLY:
            raise UsageError(
                "%s takes %r by position only." % (owner, parameter.name),
                "arguments are handed over by their names.",
                "wrap it in a function with names.",
            )
        found.append((parameter.name, parameter.default is parameter.empty))
    return tuple(found)


def function_of(module: Any, name: str) -> Any:
    """The function of this name. Raises UsageError: there is none."""
    found = getattr(module, name, None)
    if not callable(found):
        raise UsageError(
            "%s has no function %s." % (module.__file__, name),
            "once loaded, it has none of this name.",
            "name one that it defines.",
        )
    return found
