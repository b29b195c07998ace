"""A class derived from torch.nn.Module, as it is: KernelBench's Model and ModelNew, or anybody's layer.

It is built with the number of channels, by the name of the constructor's parameter or as the first number of ``get_init_inputs``;
epsilon and momentum are handed to the constructor, or set where a submodule has them. Gradients are autograd's.

Runs in workers: Python 3.8, standard library, NumPy and torch.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.adapter import KernelAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.layer import supply
from bnspec.backends.kernels.procedure import Procedure, Values
from bnspec.backends.kernels.python_function import TorchArrays, apart, function_of
from bnspec.backends.kernels.roles import role_of
from bnspec.backends.worker.__main__ import load_file
from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.contract import Declined, Gradients, LayerConfig, State
from bnspec.errors import UsageError
from bnspec.model.call import Mode

PARAMETERS = ("gamma", "beta")
RUNNING = ("running_mean", "running_var")
#: A layer that is built to see what a module holds.
PLAIN = LayerConfig(4, 1, 3, 2.0**-4, 0.75, "float32", "float32")
#: Attributes of submodules by what they are.
NUMBERS = {"epsilon": ("eps", "epsilon"), "momentum": ("momentum",)}


class TorchModule(KernelAdapter):
    """A module of torch."""

    framework = "torch"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The module's forward pass, for finding out what it offers."""
        self.arrays = TorchArrays()
        self.recipe = Recipe(load_file(kernel.path), kernel.name)
        return ModuleProcedure(self, kernel.name), None

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """A module with these values."""
        module = self.built(config)
        given = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
        values = {n: self.arrays.given(v) for n, v in given.items() if v is not None}
        return ModuleLayer(self.arrays, module, config, values)

    def found(self) -> Mapping[str, Any]:
        """The statistics that its layer keeps in the module's place."""
        return {**super().found(), "supplied": [n for n in RUNNING if n not in self.forward_pass.takes]}

    def built(self, config: LayerConfig) -> Any:
        """A new module."""
        return self.recipe.built(config, self.kernel.momentum_weighs)


class Recipe:
    """How a module is built: which arguments its constructor takes.

    Raises UsageError: one of them cannot be told from its name.
    """

    def __init__(self, source: Any, name: str) -> None:
        self.type, self.name = function_of(source, name), name
        parameters = list(inspect.signature(self.type).parameters.values())
        self.roles = {p.name: role_of(p.name) for p in parameters}
        self.numbers = list(source.get_init_inputs()) if hasattr(source, "get_init_inputs") else []
        required = [p.name for p in parameters if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD]
        if required and "channels" not in self.roles.values() and isinstance(self.numbers[:1] and self.numbers[0], int):
            self.roles[required[0]] = "channels"
        self.given = dict(zip([p.name for p in parameters], self.numbers))
        unknown = [
            n
            for n in required
            if self.roles[n] not in ("channels", "epsilon", "momentum", "decay") and n not in self.given
        ]
        if unknown or "channels" not in self.roles.values():
            raise UsageError(
                "%s cannot be built: what its constructor takes is not known." % name,
                "it takes %s." % (", ".join(required) or "nothing"),
                "call the number of channels num_features, or define get_init_inputs().",
            )

    def built(self, config: LayerConfig, momentum_weighs: str) -> Any:
        """A new module. Raises Declined: it does not take this epsilon or decay."""
        momentum = 1.0 - config.decay if momentum_weighs == "new" else config.decay
        values = {"channels": config.channels, "epsilon": config.epsilon, "momentum": momentum, "decay": config.decay}
        arguments = {
            n: values[r] if r in values else self.given[n]
            for n, r in self.roles.items()
            if r in values or n in self.given
        }
        module = self.type(**arguments)
        for role, names in NUMBERS.items():
            if role not in self.roles.values() and not assigned(module, names, values[role]):
                fixed(role, module, values[role])
        return module


def assigned(module: Any, names: Tuple[str, ...], value: float) -> bool:
    """Whether a submodule has a number of one of these names; it is set."""
    owners = [(m, n) for m in module.modules() for n in names if isinstance(getattr(m, n, None), float)]
    for owner, name in owners:
        setattr(owner, name, value)
    return bool(owners)


def fixed(role: str, module: Any, value: float) -> None:
    """Raise Declined, unless nothing depends on the number."""
    if role == "momentum" and not any(role_of(n.rpartition(".")[2]) in RUNNING for n, _ in module.named_buffers()):
        return
    raise Declined("this module does not take another %s than its own" % role)


class ModuleLayer(LayerByMode):
    """One module with a case's parameters and state."""

    def __init__(self, arrays: TorchArrays, module: Any, config: LayerConfig, values: Mapping[str, Any]) -> None:
        self.arrays, self.torch, self.module, self.config = arrays, arrays.torch, module, config
        self.owners: Dict[str, Tuple[Any, str]] = {}
        self.kept = {n: arrays.taken(values[n]) for n in RUNNING}
        for full, tensor in (*module.named_parameters(), *module.named_buffers()):
            name = full.rpartition(".")[2]
            role = role_of(name)
            if role in (*PARAMETERS, *RUNNING):
                if role in self.owners:
                    raise Declined("this module has more than one %s" % role)
                self.owners[role] = owner_of(module, full), name
            elif tensor.dim():
                raise Declined("this module has %s, which is no part of batch normalization" % full)
        has = {n: n in self.owners for n in PARAMETERS}
        if config.affine != has["gamma"]:
            raise Declined("this module %s gamma and beta" % ("has no" if config.affine else "has"))
        for role, (owner, name) in self.owners.items():
            self.put(owner, name, role, values[role])

    def put(self, owner: Any, name: str, role: str, value: Any) -> None:
        """The module's parameter or buffer, over the case's memory where its shape is (C,). Strides of its own a module never meets: it
        allocates what it holds, and load_state_dict copies into that."""
        old = getattr(owner, name)
        value = value.contiguous().reshape(old.shape)
        if role in PARAMETERS:
            setattr(owner, name, self.torch.nn.Parameter(value))
        else:
            owner._buffers[name] = value

    def forward(self, x: Any, mode: Mode) -> Any:
        """y as torch gives it."""
        if mode == "inference" and "running_mean" not in self.owners:
            raise Declined("this module has no running statistics, and no inference by them")
        self.module.train(mode == "training")
        return self.module(self.arrays.given(x))

    def supply(self, x: Any) -> None:
        """Move the running statistics that the module does not keep, after a step."""
        for running in RUNNING:
            if running not in self.owners:
                supply(self.kept, running, x, self.config)

    def training(self, x: Any) -> Any:
        """y in train(), under no_grad."""
        with self.torch.no_grad():
            y = self.arrays.taken(self.forward(x, "training"))
        self.supply(x)
        return y

    def inference(self, x: Any) -> Any:
        """y in eval(), under no_grad."""
        with self.torch.no_grad():
            return self.arrays.taken(self.forward(x, "inference"))

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """y and the gradients of torch.autograd."""
        leaf = self.arrays.given(x).detach().requires_grad_()
        self.module.train(mode == "training")
        if mode == "inference" and "running_mean" not in self.owners:
            raise Declined("this module has no running statistics, and no inference by them")
        y = self.module(leaf)
        leaves = [leaf, *self.parameters()]
        if y.grad_fn is None:
            raise Declined("this module's result has no gradient: it has no backward pass")
        found = self.torch.autograd.grad(y, leaves, self.arrays.given(dy))
        if mode == "training":
            self.supply(x)
        dx, *parameters = (apart(self.arrays.taken(g), dy) for g in found)
        dgamma, dbeta = (p.reshape(-1) for p in parameters) if parameters else (None, None)
        return Gradients(self.arrays.taken(y), dx, dgamma, dbeta)

    def parameters(self) -> List[Any]:
        """gamma and beta, where there are any."""
        return [getattr(*self.owners[n]) for n in PARAMETERS if n in self.owners]

    def state(self) -> State:
        """The module's buffers; the values that it was given, where it has none."""
        return State(
            *(
                self.arrays.taken(getattr(*self.owners[n])).reshape(-1) if n in self.owners else self.kept[n]
                for n in RUNNING
            )
        )

    def copied(self) -> ModuleLayer:
        """A deep copy of the module."""
        values = {n: self.arrays.given(np.array(v)) for n, v in zip(RUNNING, self.state())}
        values.update({n: getattr(*self.owners[n]).detach().clone() for n in PARAMETERS if n in self.owners})
        return ModuleLayer(self.arrays, copy.deepcopy(self.module), self.config, values)


def owner_of(module: Any, full: str) -> Any:
    """The submodule that holds the parameter or buffer of this name."""
    path = full.rpartition(".")[0]
    return module.get_submodule(path) if path else module


def held(module: Any) -> Tuple[str, ...]:
    """The roles of a module's parameters and buffers."""
    names = [n.rpartition(".")[2] for n, _ in (*module.named_parameters(), *module.named_buffers())]
    return tuple(role for role in (*PARAMETERS, *RUNNING) if role in map(role_of, names))


class ModuleProcedure(Procedure):
    """A module built and called once, for finding out what it offers."""

    NUMBERS = ("epsilon", "momentum", "training")

    def __init__(self, adapter: TorchModule, owner: str) -> None:
        self.adapter, self.owner = adapter, owner
        try:
            arrays = held(adapter.built(PLAIN))
        except Exception:  # noqa: BLE001  # the calls that follow raise it again, and say so
            arrays = (*PARAMETERS, *RUNNING)
        self.takes = ("x", *arrays, *self.NUMBERS)

    def __call__(self, values: Values) -> Dict[str, Any]:
        """y and the statistics after a call in training mode."""
        x, gamma = values["x"], values["gamma"]
        axis = 1 if x.shape[1] == gamma.size else x.ndim - 1
        kinds = (x.dtype.name, gamma.dtype.name)
        affine = "gamma" in self.takes
        config = LayerConfig(x.ndim, axis, gamma.size, values["epsilon"], values["decay"], *kinds, affine=affine)
        given = [values[n] if affine else None for n in PARAMETERS]
        layer = self.adapter.layer(config, *given, *(values[n] for n in RUNNING))
        return {"y": layer.training(x)}
