"""``torch.compile`` and ``torch.decomposed``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d under torch.compile.

Two compiler backends: "inductor", the default, which generates C++ or Triton code; and "aot_eager_decomp_partition", which takes
the same decompositions and the same joint forward and backward graph, and runs them operation by operation. What the two have in
common is the decomposition's; the rest is the generated code's. Shapes are dynamic, so that code is compiled once per rank,
layout, dtype, mode, epsilon and momentum. The whole call must be one graph, and the limit of recompilations is out of reach:
there is no silent return to eager mode.

Generating and compiling C++ takes seconds for each variant, so ``torch.compile`` is no entry point: it is asked for by
``--backend bnspec.backends.torch_compile:TorchCompile``, and a run without ``--backend`` does not have it.

Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html
"""

from __future__ import annotations

from typing import Any, List, Optional

from bnspec.backends.torch_common import TorchAdapter, TorchLayer
from bnspec.backends.torch_modules import module_over
from bnspec.contract import Declined, LayerConfig, Profile, SecondOrder, State

#: More variants of one function than a run can ask for.
LIMIT = 1_000_000


class CompiledAdapter(TorchAdapter):
    """Compiled modules. What is left to a subclass: ``compiler``, the name of torch.compile's backend."""

    compiler = ""
    profile = Profile(
        running_correction=1,
        momentum_weighs="new",
        default_epsilon=1e-5,
        default_decay=0.9,
        frozen_gradients="batch",
        count_one="raises",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        ranks=(2, 3, 4, 5),
        channel_axes="first",
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import torch._dynamo

        torch._dynamo.config.recompile_limit = LIMIT
        torch._dynamo.config.accumulated_recompile_limit = LIMIT

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> CompiledLayer:
        """The compiled module of x's rank; weight, bias and buffers are these tensors."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return CompiledLayer(self.torch, module, self.compiler)


class TorchCompile(CompiledAdapter):
    """``torch.compile`` as it is by default."""

    compiler = "inductor"


class TorchDecomposed(CompiledAdapter):
    """Inductor's decompositions, run eagerly."""

    compiler = "aot_eager_decomp_partition"


class CompiledLayer(TorchLayer):
    """One compiled ``torch.nn.BatchNorm*d``."""

    def __init__(self, torch: Any, module: Any, compiler: str) -> None:
        super().__init__(torch)
        self.module = module
        self.compiled = torch.compile(module, backend=compiler, dynamic=True, fullgraph=True)

    def forward(self, x: Any, mode: str) -> Any:
        """The compiled module's call in train() or eval()."""
        self.module.train(mode == "training")
        return self.compiled(x)

    def second_order(self, x: Any, dy: Any, v: Any, mode: str) -> SecondOrder:
        """Declined: AOTAutograd compiles a backward pass that is not differentiated again, and says so when it is."""
        raise Declined("torch.compile does not support double backward")

    def parameters(self) -> List[Any]:
        """weight and bias."""
        return list(self.module.parameters())

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module.running_mean, self.module.running_var)
