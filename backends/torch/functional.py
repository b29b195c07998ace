"""``torch.functional``: the function torch.nn.functional.batch_norm.

    torch.native   the operator torch.native_batch_norm, which exported programs call, beneath the function's checks
    torch.native.out   the operator, which writes y into a tensor of another memory format than x's, by out=
    torch.mkldnn   the function of tensors in the layout of oneDNN, by oneDNN's kernels: images, and volumes in inference

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html ,
https://docs.pytorch.org/docs/stable/torch.compiler_ir.html and https://docs.pytorch.org/docs/stable/generated/torch.Tensor.to_mkldnn.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, List, Mapping, Optional, Tuple

from bnspec.backends.torch.common import NO_EPSILON, TorchAdapter, TorchLayer
from bnspec.backends.torch.layer_norm import TorchLayerNorm, functional
from bnspec.backends.torch.network import TorchNetwork, module_of
from bnspec.backends.worker.forward_only import ForwardOnly
from bnspec.contract import Conventions, Declined, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind

#: Why oneDNN's kernels have no other derivatives.
FIRST_ORDER = "PyTorch defines derivatives of the first order of tensors in oneDNN's layout"


class TorchFunctional(TorchAdapter):
    """The function as a backend; it updates the running statistics in place."""

    conventions = Conventions(
        checks_arguments=True,
        running_correction=1,
        momentum_weighs="new",
        default_epsilon=1e-5,
        default_decay=0.9,
        count_one="raises",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        ranks=(2, 3, 4, 5, 6),
        channel_axes="first",
    )

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FunctionalLayer:
        """The function's arguments, kept together."""
        if config.epsilon == 0.0:
            raise Declined(NO_EPSILON)
        return FunctionalLayer(self.torch, config, gamma, beta, State(running_mean, running_var))

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """A network whose normalization module calls the function."""
        if kind.endswith("_plain"):
            return TorchNetwork(self.torch, kind, None, learning_rate, values)
        layer = self.layer(config, *(values[n] for n in PARAMETERS))
        return TorchNetwork(self.torch, kind, module_of(self.torch, layer), learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TorchLayerNorm:
        """The function torch.nn.functional.layer_norm."""
        return functional(self.torch, config, gamma, beta)


class FunctionalLayer(TorchLayer):
    """The arguments of ``torch.nn.functional.batch_norm`` other than x and the mode."""

    def __init__(
        self, torch: Any, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], state: State
    ) -> None:
        super().__init__(torch)
        self.config, self.running = config, state
        self.weight = None if gamma is None else gamma.detach().requires_grad_()
        self.bias = None if beta is None else beta.detach().requires_grad_()

    def forward(self, x: Any, mode: Mode) -> Any:
        """The function's result."""
        return self.torch.nn.functional.batch_norm(
            x,
            self.running.running_mean,
            self.running.running_var,
            weight=self.weight,
            bias=self.bias,
            training=mode == "training",
            momentum=1.0 - self.config.decay,
            eps=self.config.epsilon,
        )

    def parameters(self) -> List[Any]:
        """weight and bias."""
        return [p for p in (self.weight, self.bias) if p is not None]

    def state(self) -> State:
        """The tensors that the function updates."""
        return self.running

    def set_decay(self, decay: float) -> None:
        """Pass another momentum to the function from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class KernelAdapter(TorchFunctional):
    """A form of the function alone."""

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: ``torch.functional`` has the networks."""
        raise Declined("the networks are those of torch.functional")

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> Any:
        """Raises Declined: ``torch.functional`` has it."""
        raise Declined("layer normalization is that of torch.functional")


class TorchNative(KernelAdapter):
    """The operator, eager."""

    conventions = dataclasses.replace(TorchFunctional.conventions, count_one="unspecified", empty_batch="raises")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> NativeLayer:
        """The operator's arguments, kept together."""
        return NativeLayer(self.torch, config, gamma, beta, State(running_mean, running_var))


class NativeLayer(FunctionalLayer):
    """The arguments of the operator other than x and the mode."""

    def forward(self, x: Any, mode: Mode) -> Any:
        """y; the saved mean and reciprocal root are left."""
        numbers = mode == "training", 1.0 - self.config.decay, self.config.epsilon
        return self.torch.native_batch_norm(x, self.weight, self.bias, *self.running, *numbers)[0]


class TorchNativeOut(TorchAdapter):
    """The operator with ``out=``, for images and volumes; it has no derivatives."""

    conventions = dataclasses.replace(
        TorchNative.conventions, ranks=(4, 5), layouts="normalised", checks_arguments=False, gradient_modes=()
    )

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> OutLayer:
        """The operator's arguments, kept together."""
        return OutLayer(self.torch, config, (gamma, beta, running_mean, running_var))


class OutLayer(ForwardOnly):
    """The arguments of the operator other than x and the mode."""

    def __init__(self, torch: Any, config: LayerConfig, arguments: Tuple[Any, ...]) -> None:
        self.torch, self.config, self.arguments = torch, config, arguments

    def training(self, x: Any) -> Any:
        """y of a training step."""
        return self.written(x, True)

    def inference(self, x: Any) -> Any:
        """y by the running statistics."""
        return self.written(x, False)

    def written(self, x: Any, training: bool) -> Any:
        """y, in a tensor with the channels last in memory, or first where x has them last."""
        torch, channels = self.torch, self.config.channels
        last = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
        y = torch.empty_like(x, memory_format=last if x.is_contiguous() else torch.contiguous_format)
        saved = (self.arguments[2].new_zeros(channels if training else 0) for _ in range(2))
        numbers = training, 1.0 - self.config.decay, self.config.epsilon
        return torch.native_batch_norm(x, *self.arguments, *numbers, out=(y, *saved))[0]

    def state(self) -> State:
        """The tensors that the operator updates."""
        return State(*self.arguments[2:])

    def set_decay(self, decay: float) -> None:
        """Pass another momentum to the operator from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class TorchMkldnn(KernelAdapter):
    """The function, eager, on oneDNN's layout; derivatives of the first order alone."""

    conventions = dataclasses.replace(
        TorchFunctional.conventions,
        dtypes=("float32", "bfloat16"),
        half_parameters=("float32",),
        ranks=(4, 5),
        layouts="normalised",
        affine_optional=False,
        gradient_modes=("training",),
        empty_batch="raises",
    )

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> MkldnnLayer:
        """The function's arguments, kept together."""
        if config.epsilon == 0.0:
            raise Declined(NO_EPSILON)
        return MkldnnLayer(self.torch, config, gamma, beta, State(running_mean, running_var))


class MkldnnLayer(FunctionalLayer):
    """The function's arguments other than x and the mode."""

    def forward(self, x: Any, mode: Mode) -> Any:
        """The function's result, as a tensor of strides. Raises Declined: a training step of volumes, gradients in inference."""
        if mode == "training" and self.config.rank != 4:
            raise Declined("oneDNN's kernel trains on images alone, says PyTorch")
        if mode == "inference" and self.torch.is_grad_enabled():
            raise Declined("oneDNN's backward pass is of training alone, says PyTorch")
        return super().forward(x.to_mkldnn(), mode).to_dense()

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined(FIRST_ORDER)

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined(FIRST_ORDER)

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined(FIRST_ORDER)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Raises Declined."""
        raise Declined(FIRST_ORDER)
