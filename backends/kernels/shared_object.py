"""A function of a shared object (C, C++, Rust, Mojo) by its C prototype, through ctypes, between guard pages.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.c_signature import Prototype, prototypes
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.procedure import Procedure, Values
from bnspec.backends.kernels.roles import OUTPUTS, roles_of
from bnspec.backends.kernels.watch import Watch
from bnspec.contract import Declined
from bnspec.errors import UsageError

#: Results of a forward pass that a backward pass takes.
SAVED = ("batch_mean", "batch_var", "inv_std", "y")


class SharedObject(FunctionAdapter):
    """A function of a shared object."""

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The functions that the header declares."""
        header = header_of(kernel.path)
        with open(header, encoding="utf-8", errors="replace") as file:
            declared = prototypes(file.read(), header)
        library = ctypes.CDLL(os.path.realpath(kernel.path))
        forward = CFunction(library, declared[kernel.name], kernel.watched)
        if not kernel.backward:
            return forward, None
        return forward, CFunction(library, declared[kernel.backward], kernel.watched, backward=True)


def header_of(path: str) -> str:
    """The header beside a shared object: libbn.so has libbn.h or bn.h."""
    folder, name = os.path.split(path)
    stem = name.partition(".")[0]
    names = [stem + ".h"] + ([stem[3:] + ".h"] if stem.startswith("lib") else [])
    found = next((os.path.join(folder, n) for n in names if os.path.isfile(os.path.join(folder, n))), "")
    if not found:
        raise UsageError(
            "%s has no header beside it." % path,
            "what a function of a shared object takes is not in it.",
            "write its prototype into %s." % os.path.join(folder, names[0]),
        )
    return found


class CFunction(Procedure):
    """One function. ``watched``: whether its memory is between red zones, and its calls are repeated to find what it reads there."""

    def __init__(self, library: Any, prototype: Prototype, watched: bool, backward: bool = False) -> None:
        try:
            self.function = getattr(library, prototype.name)
        except AttributeError:
            raise UsageError(
                "the shared object has no function %s." % prototype.name, "its header declares it.", "export it."
            ) from None
        self.prototype, self.owner = prototype, prototype.name
        self.function.restype = ctypes.c_int if prototype.returns_status else None
        self.function.argtypes = [a.kind for a in prototype.arguments]
        self.roles = roles_of(prototype.name, [a.name for a in prototype.arguments], backward=backward)
        kept = SAVED if backward else ()
        self.takes = tuple(r for r in self.roles.values() if r not in OUTPUTS or r in kept)
        self.returns = tuple(r for r in self.roles.values() if r not in self.takes)
        self.watch = Watch(packed=True) if watched else None

    def __call__(self, values: Values) -> Dict[str, Any]:
        """The results, which the function has written."""
        elements = {self.roles[a.name]: a.element for a in self.prototype.arguments if a.element}
        given = {role: values.get(role) for role in self.roles.values()}
        for role, element in elements.items():
            array = given[role]
            if array is None:
                raise Declined("%s takes a %s, and this layer has none" % (self.owner, role))
            if array.dtype.name != element:
                raise TypeError("%s of dtype %s, where the prototype has %s" % (role, array.dtype.name, element))
        if self.watch is not None:
            return self.watch.call(self.run, given, self.returns)
        return self.run(given)

    def run(self, given: Dict[str, Any]) -> Dict[str, Any]:
        """One call on packed arrays; others are packed, and what was written is put back."""
        packed = {n: np.ascontiguousarray(v) if isinstance(v, np.ndarray) else v for n, v in given.items()}
        arguments = []
        for argument in self.prototype.arguments:
            value = packed[self.roles[argument.name]]
            arguments.append(value.ctypes.data if isinstance(value, np.ndarray) else value)
        status = self.function(*arguments)
        if self.prototype.returns_status and status:
            raise RuntimeError("%s returned %d" % (self.owner, status))
        for name, value in given.items():
            if isinstance(value, np.ndarray) and packed[name] is not value:
                value[...] = packed[name]
        return {role: given[role] for role in self.returns}
