"""``torch.compile`` and ``torch.decomposed``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d under torch.compile.

Two compiler backends: "inductor", the default, which generates C++ or Triton code; and "aot_eager_decomp_partition", which takes
the same decompositions and the same joint forward and backward graph, and runs them operation by operation. A deviation that
both share comes from the decomposition; any other comes from the generated code. Shapes are dynamic, so that code is compiled once per rank,
layout, dtype, mode, epsilon and momentum. The whole call must be one graph, and the recompilation limit is set out of reach,
so the layer never falls back to eager mode silently.

Generating and compiling C++ takes seconds per variant.

Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from bnspec.backends.torch.common import TorchAdapter
from bnspec.backends.torch.modules import CONVENTIONS, StatefulModule, module_over, new_module
from bnspec.contract import Declined, LayerConfig, SecondOrder
from bnspec.model.call import Mode

#: More variants of one function than a run can compile.
LIMIT = 1_000_000
#: See ``Conventions.root_roundings``: Triton divides by div.full, accurate to 2 units in the last place (PTX ISA, div).
TRITON_ROOT_ROUNDINGS = 7.0


class CompiledAdapter(TorchAdapter):
    """Compiled modules. Subclasses define ``compiler``, the name of torch.compile's backend."""

    compiler = ""
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import torch._dynamo

        if self.kind != "cpu":
            self.conventions = dataclasses.replace(self.conventions, root_roundings=TRITON_ROOT_ROUNDINGS)
        torch._dynamo.config.recompile_limit = LIMIT
        torch._dynamo.config.accumulated_recompile_limit = LIMIT

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> CompiledLayer:
        """The compiled module of x's rank; weight, bias and buffers are these tensors."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return CompiledLayer(self.torch, module, self.compiler)

    def new_layer(self, config: LayerConfig) -> CompiledLayer:
        """The compiled module of x's rank, as constructed."""
        return CompiledLayer(self.torch, new_module(self.torch, config, self.place), self.compiler)


class TorchCompile(CompiledAdapter):
    """``torch.compile`` with its default backend.

    The first code that Inductor generates in an empty cache is slow: it probes the machine's vector instructions and precompiles
    PyTorch's headers. Opening the adapter does this once. Code is compiled in this process, so killing a worker leaves no
    process behind; Inductor's folder of compiled code (TORCHINDUCTOR_CACHE_DIR) serves later workers and runs.
    """

    compiler = "inductor"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import torch._inductor.config

        torch._inductor.config.compile_threads = 1
        self.torch.compile(lambda x: x + 1.0, backend=self.compiler)(self.torch.ones(8, device=self.place))


class TorchDecomposed(CompiledAdapter):
    """Inductor's decompositions, run eagerly."""

    compiler = "aot_eager_decomp_partition"


class CompiledLayer(StatefulModule):
    """One compiled ``torch.nn.BatchNorm*d``."""

    def __init__(self, torch: Any, module: Any, compiler: str) -> None:
        super().__init__(torch, module)
        self.compiler = compiler
        self.compiled = torch.compile(module, backend=compiler, dynamic=True, fullgraph=True)

    def over(self, module: Any) -> CompiledLayer:
        """The same layer around another module, compiled."""
        return CompiledLayer(self.torch, module, self.compiler)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The compiled module's call in train() or eval()."""
        self.module.train(mode == "training")
        return self.compiled(x)

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("torch.compile with AOTAutograd does not support double backward, and says so")

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("torch.compile with AOTAutograd does not support double backward, and says so")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined("torch.compile with AOTAutograd does not support double backward, and says so")
