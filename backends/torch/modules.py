"""Shared by adapters of PyTorch's modules: construction by x's rank over a case's tensors, and operations between calls."""

from __future__ import annotations

import abc
import copy
import inspect
import io
from typing import Any, List, Optional

from bnspec.backends.torch.common import NO_EPSILON, TorchLayer, placed
from bnspec.contract import Conventions, Declined, LayerConfig, State
from bnspec.model.call import Mode

MODULES = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}
#: The modules' conventions, eager or compiled.
CONVENTIONS = Conventions(
    checks_arguments=True,
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


def new_module(torch: Any, config: LayerConfig, place: Any) -> Any:
    """A ``torch.nn.BatchNorm*d`` on the device ``place``, as constructed. Raises Declined: epsilon 0, which PyTorch rejects."""
    if config.epsilon == 0.0:
        raise Declined(NO_EPSILON)
    made, dtype = getattr(torch.nn, MODULES[config.rank]), getattr(torch, config.parameter_dtype)
    numbers = {"eps": config.epsilon, "momentum": 1.0 - config.decay, "affine": config.affine}
    return placed(made, config.channels, device=place, dtype=dtype, **numbers)


def module_over(
    torch: Any,
    config: LayerConfig,
    place: Any,
    gamma: Optional[Any],
    beta: Optional[Any],
    running_mean: Any,
    running_var: Any,
) -> Any:
    """A ``torch.nn.BatchNorm*d`` on the device ``place``, whose weight, bias and buffers are these tensors."""
    module = new_module(torch, config, place)
    if config.affine:
        module.weight, module.bias = torch.nn.Parameter(gamma), torch.nn.Parameter(beta)
    module.running_mean, module.running_var = running_mean, running_var
    return module


class StatefulModule(TorchLayer):
    """One ``torch.nn.BatchNorm*d``, its state, and the operations between calls. Subclasses define ``forward`` and
    ``over``.
    """

    def __init__(self, torch: Any, module: Any) -> None:
        super().__init__(torch)
        self.module = module

    @abc.abstractmethod
    def over(self, module: Any) -> StatefulModule:
        """The same kind of layer around another module."""

    def parameters(self) -> List[Any]:
        """weight and bias, unless they are frozen."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module.running_mean, self.module.running_var)

    def restored(self) -> StatefulModule:
        """A new module with the same arguments that loads the state_dict written by ``torch.save``."""
        old = self.module
        place, dtype = old.running_mean.device, old.running_mean.dtype
        numbers = {"eps": old.eps, "momentum": old.momentum, "affine": old.affine}
        new = placed(type(old), old.num_features, device=place, dtype=dtype, **numbers)
        new.load_state_dict(saved_and_read(self.torch, old.state_dict()))
        return self.over(new)

    def copied(self) -> StatefulModule:
        """A deep copy of the module."""
        return self.over(copy.deepcopy(self.module))

    def reset(self) -> None:
        """The module's own reset."""
        self.module.reset_running_stats()

    def freeze(self, frozen: bool) -> None:
        """Stop gradients of weight and bias; train() and eval() behave as before."""
        self.module.requires_grad_(not frozen)

    def set_decay(self, decay: float) -> None:
        """Set the module's momentum."""
        self.module.momentum = 1.0 - decay


class CumulativeModule(StatefulModule):
    """A module without a momentum, whose every step weighs its batch as the case says."""

    def put_back(self, mode: Mode) -> None:
        """Leave the count as it was before a step that is done."""
        if mode == "training":
            self.module.num_batches_tracked -= 1

    def reset(self) -> None:
        """Raises Declined: the next step would have another weight than the case says."""
        raise Declined("a module that is reset begins to count again, and weighs its next batch by 1")

    def set_decay(self, decay: float) -> None:
        """Go on as after another number of steps."""
        self.module.num_batches_tracked.fill_(steps_of(decay))


def saved_and_read(torch: Any, state: Any) -> Any:
    """A state_dict, written by ``torch.save`` and read."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    safely = "weights_only" in inspect.signature(torch.load).parameters
    return torch.load(file, **({"weights_only": True} if safely else {}))


def steps_of(decay: float) -> int:
    """The number t of steps after which the next one keeps the share ``decay`` = t / (t + 1). Raises Declined: there is none."""
    for steps in range(1024):
        if 1.0 - 1.0 / (steps + 1) == decay:
            return steps
    raise Declined("a cumulative average keeps t / (t + 1) of the old value, which is never %r" % decay)
