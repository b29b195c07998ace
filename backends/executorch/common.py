"""Shared by the ExecuTorch backends: programs of modules, exported by PyTorch and run by ExecuTorch's runtime.

Source: https://docs.pytorch.org/executorch/stable/using-executorch-export.html
"""

from __future__ import annotations

import logging
import warnings
from importlib import metadata
from typing import Any, Callable, Dict, List, Sequence

#: Runs a program: its first result.
Program = Callable[..., Any]


class Exporter:
    """The exporter and the runtime, whose portable kernels run the programs."""

    def __init__(self, torch: Any) -> None:
        logging.disable(logging.WARNING)  # packages of the exporter say at length what they lack
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from executorch import exir, runtime
        self.torch, self.exir, self.runtime = torch, exir, runtime.Runtime.get()

    def program(self, module: Any, arguments: Sequence[Any]) -> Program:
        """The program of a module for arguments of these shapes."""
        with self.torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = self.torch.export.export(module, tuple(self.packed(arguments)))
            loaded = self.runtime.load_program(self.exir.to_edge(exported).to_executorch().buffer)
        method = loaded.load_method("forward")

        def run(*given: Any, kept: Any = loaded) -> Any:  # a method reads its program, and does not keep it
            return method.execute(self.packed(given))[0].clone()

        return run

    def packed(self, tensors: Sequence[Any]) -> List[Any]:
        """Copies without views' strides: ExecuTorch refuses a stride of 0, even along an extent of 1."""
        return [a.detach().clone(memory_format=self.torch.contiguous_format) for a in tensors]


def versions(torch: Any) -> Dict[str, str]:
    """Versions of ExecuTorch and of PyTorch."""
    return {"executorch": metadata.version("executorch"), "torch": str(torch.__version__)}
