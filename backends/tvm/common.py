"""Shared by the TVM backends: Relax modules, compiled by LLVM and run by Relax's virtual machine.

Source: https://tvm.apache.org/docs/reference/api/python/relax/relax.html
"""

from __future__ import annotations

from importlib import metadata
from typing import Any, Callable, Dict, List

import numpy as np

#: Calls a function of a module: its results as arrays, tuples as lists.
Function = Callable[..., List[Any]]


class Relax:
    """Relax, and the CPU."""

    def __init__(self) -> None:
        import tvm
        from tvm import relax

        self.tvm, self.relax = tvm, relax

    def function(self, module: Any, name: str = "main") -> Function:
        """The function of this name of a module."""
        executable = self.tvm.compile(module, target="llvm")
        called = self.relax.VirtualMachine(executable, self.tvm.cpu())[name]
        tensor = self.tvm.runtime.tensor

        def call(*arguments: Any) -> List[Any]:
            found = arrays(called(*(tensor(np.ascontiguousarray(a)) for a in arguments)))
            return found if isinstance(found, list) else [found]

        return call


def arrays(result: Any) -> Any:
    """A result of the virtual machine as an array of its own, or as a list of results."""
    return np.array(result.numpy()) if hasattr(result, "numpy") else [arrays(part) for part in result]


def versions() -> Dict[str, str]:
    """TVM's version, by its own name and by that of its package."""
    return dict.fromkeys(("tvm", "apache-tvm"), metadata.version("apache-tvm"))
