"""Shared by the ExecuTorch backends: programs of modules, exported by PyTorch and run by ExecuTorch's runtime.

Source: https://docs.pytorch.org/executorch/stable/using-executorch-export.html
"""

from __future__ import annotations

import logging
import warnings
from importlib import metadata
from typing import Any, Callable, Dict, Tuple

#: Runs a program: its first result.
Program = Callable[..., Any]


class Exporter:
    """The exporter and the runtime; ``delegated``: XNNPACK takes what it can of each program, where portable kernels run the rest."""

    def __init__(self, torch: Any, delegated: bool = False) -> None:
        logging.disable(logging.WARNING)  # packages of the exporter say at length what they lack
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from executorch import exir, runtime

            self.partitioners: Tuple[Any, ...] = ()
            if delegated:
                from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

                self.partitioners = (XnnpackPartitioner(),)
        self.torch, self.exir, self.runtime = torch, exir, runtime.Runtime.get()

    def program(self, module: Any, arguments: Tuple[Any, ...]) -> Program:
        """The program of a module for arguments of these shapes."""
        with self.torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = self.torch.export.export(module, arguments)
            edge = self.exir.to_edge_transform_and_lower(exported, partitioner=list(self.partitioners))
            memory = edge.to_executorch().buffer
        loaded = self.runtime.load_program(memory)
        method = loaded.load_method("forward")

        def run(*given: Any, kept: Any = (memory, loaded)) -> Any:  # a method reads them, and does not keep them
            return method.execute([a.detach().contiguous() for a in given])[0].clone()

        return run


def versions(torch: Any) -> Dict[str, str]:
    """Versions of ExecuTorch and of PyTorch."""
    return {"executorch": metadata.version("executorch"), "torch": str(torch.__version__)}
