"""``executorch``: torch.nn.functional.batch_norm in inference, exported and run by ExecuTorch's portable kernels.

Its arguments have one dtype: the kernels refuse half-precision x with float32 parameters, which PyTorch computes.

Source: https://docs.pytorch.org/executorch/stable/kernel-library-overview.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional

from bnspec.backends.executorch.common import Exporter, Program, versions
from bnspec.backends.torch.common import TorchAdapter
from bnspec.backends.torch.modules import CONVENTIONS, module_over
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import LayerConfig, State

PORTABLE = dataclasses.replace(
    CONVENTIONS,
    half_arithmetic="input",
    half_parameters=("input",),
    layouts="normalised",
    checks_arguments=False,
    gradient_modes=(),
)


class ExecutorchPortable(TorchAdapter):
    """Programs of functions of x, the parameters and the statistics, so that one serves all layers of its form."""

    framework = "executorch"
    conventions = PORTABLE

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.exporter = Exporter(self.torch)
        self.programs: Dict[Any, Program] = {}

    @classmethod
    def devices(cls) -> Dict[str, str]:
        """The CPU alone."""
        return {"cpu": "ready"}

    def versions(self) -> Dict[str, str]:
        """Versions of ExecuTorch and of PyTorch."""
        return versions(self.torch)

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FunctionLayer:
        """The module of x's rank, whose tensors the programs take."""
        return FunctionLayer(self, module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var))


class FunctionLayer(InferenceOnly):
    """One module's tensors, given to the programs of all layers."""

    def __init__(self, owner: ExecutorchPortable, module: Any) -> None:
        self.owner, self.module = owner, module

    def inference(self, x: Any) -> Any:
        """The program's result."""
        module, programs = self.module, self.owner.programs
        given = [x, module.running_mean, module.running_var, *([module.weight, module.bias] if module.affine else [])]
        key = tuple(x.shape), x.dtype, module.eps, module.affine
        if key not in programs:
            programs[key] = self.owner.exporter.program(normalising(self.owner.torch, module.eps), given)
        return programs[key](*given)

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module.running_mean, self.module.running_var)


def normalising(torch: Any, epsilon: float) -> Any:
    """A module of torch.nn.functional.batch_norm in inference, whose arguments are all inputs."""

    class Normalising(torch.nn.Module):
        def forward(self, x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None) -> Any:
            return torch.nn.functional.batch_norm(x, mean, var, weight, bias, False, 0.0, epsilon)

    return Normalising()
