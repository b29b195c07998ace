"""The modules BatchNorm1d, BatchNorm2d and BatchNorm3d.

    torch.nn              as they are
    torch.autocast        under torch.autocast with bfloat16, which leaves them in the dtypes that they are given
    torch.channels_last   for x of shape (N, ..., C)
    torch.cumulative      with momentum=None, the plain average of all batches
    torch.checkpoint      under torch.utils.checkpoint, which runs them again in the backward pass
    torch.deterministic   under torch.use_deterministic_algorithms, which fills new memory with NaN
    torch.lazy            LazyBatchNorm*d, which learns its number of channels from a state_dict or from its first x

To PyTorch, an image with channels last is a view of shape (N, C, H, W) in channels-last memory, and the module is the same.

The step of a cumulative average after t others weighs the batch by 1 / (t + 1), so a layer whose decay is t / (t + 1) is one after t
steps. After each step its count of batches is put back to t, so that the next one has the same weight; a call that raises is no step,
and puts nothing back.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html,
https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html,
https://docs.pytorch.org/docs/stable/checkpoint.html, https://docs.pytorch.org/docs/stable/amp.html,
https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html and
https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm2d.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Optional, Tuple

from bnspec.backends.torch.common import NO_EPSILON, TorchAdapter
from bnspec.backends.torch.layer_norm import TorchLayerNorm, module
from bnspec.backends.torch.modules import (
    CONVENTIONS,
    MODULES,
    CumulativeModule,
    StatefulModule,
    module_over,
    new_module,
    saved_and_read,
    steps_of,
)
from bnspec.backends.torch.network import TorchNetwork
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind


class TorchNN(TorchAdapter):
    """Modules in train() and eval(), over the case's own tensors."""

    conventions = CONVENTIONS

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module of x's rank; weight, bias and buffers are these tensors."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return ModuleLayer(self.torch, module)

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module of x's rank, as constructed."""
        module = new_module(self.torch, config, self.place)
        return ModuleLayer(self.torch, module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """A network around this adapter's module."""
        if kind.endswith("_plain"):
            return TorchNetwork(self.torch, kind, None, learning_rate, values)
        layer = self.layer(config, *(values[n] for n in PARAMETERS))
        return TorchNetwork(self.torch, kind, layer.module, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TorchLayerNorm:
        """torch.nn.LayerNorm."""
        return module(self.torch, config, gamma, beta)


class ModuleLayer(StatefulModule):
    """One ``torch.nn.BatchNorm*d``, eager."""

    def over(self, module: Any) -> ModuleLayer:
        """The same kind of layer around another module."""
        return ModuleLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call in train() or eval()."""
        self.module.train(mode == "training")
        return self.module(x)


class TorchChannelsLast(TorchNN):
    """Modules called with x of shape (N, ..., C) as a view of shape (N, C, ...)."""

    conventions = dataclasses.replace(CONVENTIONS, ranks=(3, 4, 5), channel_axes="last")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ChannelsLastLayer:
        """The module of x's rank."""
        return ChannelsLastLayer(self.torch, super().layer(config, gamma, beta, running_mean, running_var).module)

    def new_layer(self, config: LayerConfig) -> ChannelsLastLayer:
        """The module of x's rank, as constructed."""
        return ChannelsLastLayer(self.torch, super().new_layer(config).module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: ``torch.nn`` has the networks."""
        raise Declined("the networks are those of torch.nn")


class ChannelsLastLayer(ModuleLayer):
    """One module."""

    def over(self, module: Any) -> ChannelsLastLayer:
        """The same kind of layer around another module."""
        return ChannelsLastLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call of the view, and the view back."""
        return super().forward(x.movedim(-1, 1), mode).movedim(1, -1)


class TorchCumulative(TorchNN):
    """Modules that average over all their batches."""

    conventions = dataclasses.replace(CONVENTIONS, first_batch="replace")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> CumulativeLayer:
        """The module of x's rank, after as many steps as its decay says. Raises Declined: no number of steps has this decay."""
        steps = steps_of(config.decay)
        module = super().layer(config, gamma, beta, running_mean, running_var).module
        return counting(CumulativeLayer(self.torch, module), steps)

    def new_layer(self, config: LayerConfig) -> CumulativeLayer:
        """The module of x's rank, as constructed."""
        return counting(CumulativeLayer(self.torch, super().new_layer(config).module), 0)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: the networks are trained with one decay."""
        raise Declined("the networks are those of torch.nn")


class CumulativeLayer(CumulativeModule, ModuleLayer):
    """One ``torch.nn.BatchNorm*d`` without a momentum."""

    def over(self, module: Any) -> CumulativeLayer:
        """The same kind of layer around another module."""
        module.momentum = None
        return CumulativeLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call; a step that is done leaves the count as it was before it."""
        y = ModuleLayer.forward(self, x, mode)
        self.put_back(mode)
        return y


def counting(layer: CumulativeLayer, steps: int) -> CumulativeLayer:
    """The layer as after so many steps."""
    layer.module.momentum = None
    layer.module.num_batches_tracked.fill_(steps)
    return layer


class TorchCheckpoint(TorchNN):
    """Modules whose activations are recomputed."""

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> CheckpointedLayer:
        """The module of x's rank."""
        return CheckpointedLayer(self.torch, super().layer(config, gamma, beta, running_mean, running_var).module)

    def new_layer(self, config: LayerConfig) -> CheckpointedLayer:
        """The module of x's rank, as constructed."""
        return CheckpointedLayer(self.torch, super().new_layer(config).module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: ``torch.nn`` has the networks."""
        raise Declined("the networks are those of torch.nn")


class CheckpointedLayer(ModuleLayer):
    """One ``torch.nn.BatchNorm*d``."""

    def over(self, module: Any) -> CheckpointedLayer:
        """The same kind of layer around another module."""
        return CheckpointedLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call, of which nothing is kept for the backward pass."""
        self.module.train(mode == "training")
        return self.torch.utils.checkpoint.checkpoint(self.module, x, use_reentrant=False)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Raises Declined: what requires a gradient must be the same in both forward passes."""
        raise Declined("some gradients are those of torch.nn")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined("derivatives of a recomputed backward pass are those of torch.nn")

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("derivatives of a recomputed backward pass are those of torch.nn")


class TorchAutocast(TorchNN):
    """Modules whose forward pass is under autocast."""

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> AutocastLayer:
        """The module of x's rank."""
        module = super().layer(config, gamma, beta, running_mean, running_var).module
        return AutocastLayer(self.torch, module)

    def new_layer(self, config: LayerConfig) -> AutocastLayer:
        """The module of x's rank, as constructed."""
        return AutocastLayer(self.torch, super().new_layer(config).module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: autocast computes the other layers in bfloat16."""
        raise Declined("autocast computes the network's other layers in bfloat16")


class AutocastLayer(ModuleLayer):
    """One ``torch.nn.BatchNorm*d``."""

    def over(self, module: Any) -> AutocastLayer:
        """The same kind of layer around another module."""
        return AutocastLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call under autocast."""
        with self.torch.autocast(x.device.type, self.torch.bfloat16):
            return super().forward(x, mode)


class TorchDeterministic(TorchNN):
    """Modules in a process whose algorithms are all deterministic."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.torch.use_deterministic_algorithms(True)


class TorchLazy(TorchNN):
    """Lazy modules, whose values are loaded; they become the usual ones in their first call."""

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> LazyLayer:
        """The lazy module of x's rank, with these values loaded. Raises Declined: epsilon 0, which PyTorch rejects."""
        given = zip(("weight", "bias", "running_mean", "running_var"), (gamma, beta, running_mean, running_var))
        module = self.lazy(config)
        state = {name: value for name, value in given if value is not None}
        module.load_state_dict({**state, "num_batches_tracked": self.torch.tensor(0)})
        return LazyLayer(self, config, module)

    def new_layer(self, config: LayerConfig) -> LazyLayer:
        """The lazy module of x's rank, after it has seen an x of no batch."""
        module = self.lazy(config)
        module.initialize_parameters(self.torch.empty((0, config.channels, *(1,) * (config.rank - 2))))
        return LazyLayer(self, config, module)

    def lazy(self, config: LayerConfig) -> Any:
        """The lazy module as constructed."""
        if config.epsilon == 0.0:
            raise Declined(NO_EPSILON)
        made, dtype = getattr(self.torch.nn, "Lazy" + MODULES[config.rank]), getattr(self.torch, config.parameter_dtype)
        numbers = {"eps": config.epsilon, "momentum": 1.0 - config.decay, "affine": config.affine}
        return made(device=self.place, dtype=dtype, **numbers)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: ``torch.nn`` has the networks."""
        raise Declined("the networks are those of torch.nn")


class LazyLayer(ModuleLayer):
    """One lazy module."""

    def __init__(self, owner: TorchLazy, config: LayerConfig, module: Any) -> None:
        super().__init__(owner.torch, module)
        self.owner, self.config = owner, config

    def over(self, module: Any) -> LazyLayer:
        """The same kind of layer around another module."""
        return LazyLayer(self.owner, self.config, module)

    def restored(self) -> LazyLayer:
        """A new lazy module with the same arguments that loads the state_dict written by ``torch.save``."""
        config = dataclasses.replace(self.config, decay=1.0 - self.module.momentum)
        new, read = self.owner.lazy(config), saved_and_read(self.torch, self.module.state_dict())
        new.load_state_dict(read)
        return LazyLayer(self.owner, config, new)
