"""Shared by the IREE backends: MLIR modules, compiled for the machine's own CPU, and called in this process.

Source: https://iree.dev/reference/bindings/python/
"""

from __future__ import annotations

from importlib import metadata
from typing import Any, Callable, Dict, Tuple

import numpy as np

#: What is compiled for, and with float64 as it is: IREE's default makes float32 of it.
OPTIONS = ("--iree-llvmcpu-target-cpu=host", "--iree-input-demote-f64-to-f32=false")
#: Calls the function of a module: its results.
Function = Callable[..., Tuple[Any, ...]]


class Iree:
    """The compiler and the runtime's device: one thread pool on the CPU."""

    def __init__(self) -> None:
        import iree.compiler
        import iree.runtime

        self.compiler, self.runtime = iree.compiler, iree.runtime
        self.config = self.runtime.Config("local-task")

    def function(self, text: str) -> Function:
        """The function "layer" of a module as text; the compiler sees in which dialect it is."""
        options: Dict[str, Any] = {"target_backends": ["llvm-cpu"], "input_type": "auto", "extra_args": list(OPTIONS)}
        binary = self.compiler.compile_str(text, **options)
        context = self.runtime.SystemContext(config=self.config)
        context.add_vm_module(self.runtime.VmModule.copy_buffer(context.instance, binary))
        layer = context.modules.module["layer"]

        def call(*arguments: Any) -> Tuple[Any, ...]:
            results = layer(*arguments)
            several = results if isinstance(results, (tuple, list)) else (results,)
            return tuple(np.array(result.to_host()) for result in several)

        return call


def versions() -> Dict[str, str]:
    """Versions of the two packages."""
    return {name: metadata.version(name) for name in ("iree-base-compiler", "iree-base-runtime")}
