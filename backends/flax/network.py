"""The network of trajectories in Flax: one ``nnx.Sequential``, ``nnx.value_and_grad`` and ``nnx.Optimizer`` with Optax's SGD.

Source: https://flax.readthedocs.io/en/latest/nnx_basics.html
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Mapping, Optional

from bnspec.backends.flax.common import value_of
from bnspec.contract import Network
from bnspec.model.vocabulary import NetworkKind


class FlaxNetwork(Network):
    """The modules around ``norm``, a ``flax.nnx.BatchNorm`` with its values; its variables are replaced as if from a checkpoint.

    Without ``norm``: the plain network.
    """

    def __init__(
        self, nnx: Any, kind: NetworkKind, norm: Optional[Any], rate: float, values: Mapping[str, Any]
    ) -> None:
        import optax

        w1, w2 = values["w1"], values["w2"]
        # by default accelerators round the factors of products
        options = {"param_dtype": w1.dtype, "precision": "highest", "rngs": nnx.Rngs(0)}
        dense = kind.startswith("dense")
        if dense:
            first = nnx.Linear(*w1.shape, **options)
        else:
            first = nnx.Conv(*w1.shape[2:], w1.shape[:2], padding="VALID", **options)
        pooling = [] if dense else [lambda a: a.mean((1, 2))]
        last = nnx.Linear(*w2.shape, **options)
        first.kernel, first.bias = nnx.Param(w1), nnx.Param(values["b1"])
        last.kernel, last.bias = nnx.Param(w2), nnx.Param(values["b2"])
        #: The variables by the contract's names.
        self.variables = {"w1": first.kernel, "b1": first.bias, "w2": last.kernel, "b2": last.bias}
        if norm is not None:
            self.variables.update(gamma=norm.scale, beta=norm.bias, running_mean=norm.mean, running_var=norm.var)
        self.model = nnx.Sequential(first, *([] if norm is None else [norm]), nnx.relu, *pooling, last)
        self.model.train()
        self.optimizer = nnx.Optimizer(self.model, optax.sgd(rate), wrt=nnx.Param)
        self.step = jitted_step(nnx, optax)

    def learn(self, x: Any, labels: Any) -> Any:
        """One step in train()."""
        return self.step(self.model, self.optimizer, x, labels)

    def values(self) -> Mapping[str, Any]:
        """The modules' variables."""
        return {name: value_of(variable) for name, variable in self.variables.items()}


def jitted_step(nnx: Any, optax: Any) -> Callable[..., Any]:
    """Returns the step (model, optimizer, x, labels) -> loss, which updates model and optimizer."""
    takes_model = "model" in inspect.signature(nnx.Optimizer.update).parameters  # before, the optimizer held it

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, labels: Any) -> Any:
        def loss_of(model: Any) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(model(x), labels).mean()

        loss, gradients = nnx.value_and_grad(loss_of)(model)
        optimizer.update(*([model] if takes_model else []), gradients)
        return loss

    return step
