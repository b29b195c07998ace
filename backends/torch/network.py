"""The network of trajectories in PyTorch: one ``nn.Sequential``, cross-entropy, and ``torch.optim.SGD``.

Source: https://docs.pytorch.org/tutorials/beginner/basics/optimization_tutorial.html
"""

from __future__ import annotations

import contextlib
from typing import Any, Mapping, Optional

from bnspec.backends.torch.common import TorchLayer, placed
from bnspec.contract import Network, State
from bnspec.model.vocabulary import NetworkKind


class TorchNetwork(Network):
    """The modules around ``norm``, a module with weight, bias, running_mean and running_var; images become channels-first.

    Without ``norm``: the plain network.
    """

    def __init__(
        self, torch: Any, kind: NetworkKind, norm: Optional[Any], rate: float, values: Mapping[str, Any]
    ) -> None:
        nn, w1, w2 = torch.nn, values["w1"], values["w2"]
        self.torch, self.convolutional = torch, kind.startswith("convolutional")
        torch.backends.cudnn.allow_tf32 = False  # otherwise cuDNN rounds the factors of convolutions to 11 bits
        pooling = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if self.convolutional else []
        options = {"device": w1.device, "dtype": w1.dtype}
        if self.convolutional:
            first = placed(nn.Conv2d, w1.shape[2], w1.shape[3], 3, **options)
        else:
            first = placed(nn.Linear, *w1.shape, **options)
        self.model = nn.Sequential(
            first, *([] if norm is None else [norm]), nn.ReLU(), *pooling, placed(nn.Linear, *w2.shape, **options)
        )
        last = "%d." % (len(self.model) - 1)
        #: State-dict entries by the contract's names.
        self.keys = {"w1": "0.weight", "b1": "0.bias", "w2": last + "weight", "b2": last + "bias"}
        if norm is not None:
            self.keys.update({n: "1." + n for n in State._fields}, gamma="1.weight", beta="1.bias")
        turned = dict(values, w1=w1.permute(3, 2, 0, 1) if self.convolutional else w1.T, w2=w2.T)
        self.model.load_state_dict({key: turned[name] for name, key in self.keys.items()})
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate)

    def learn(self, x: Any, labels: Any) -> Any:
        """One step in train()."""
        self.model.train()
        given = x.permute(0, 3, 1, 2) if self.convolutional else x
        with self.plain_products():
            first = self.model[0](given)
        loss = self.torch.nn.functional.cross_entropy(self.model[1:](first), labels)
        self.optimizer.zero_grad()
        with self.plain_products():
            loss.backward()  # the layer's own backward stays that of its forward
        self.optimizer.step()
        return loss.detach()

    def plain_products(self) -> Any:
        """On a GPU without cuDNN: it may choose Winograd's algorithm, whose error is not that of a sum of products."""
        if self.model[0].weight.device.type != "cuda":
            return contextlib.nullcontext()
        return self.torch.backends.cudnn.flags(enabled=False)

    def values(self) -> Mapping[str, Any]:
        """The entries of the state dict, weights in the contract's order of axes."""
        found = {name: self.model.state_dict()[key] for name, key in self.keys.items()}
        w1 = found["w1"].permute(2, 3, 1, 0) if self.convolutional else found["w1"].T
        return dict(found, w1=w1, w2=found["w2"].T)


def module_of(torch: Any, layer: TorchLayer) -> Any:
    """A module around a functional layer; it holds the layer's tensors as parameters and buffers."""
    parameters, state = [torch.nn.Parameter(p.detach()) for p in layer.parameters()], layer.state()

    class Norm(torch.nn.Module):
        """A user's module that calls the function in its mode."""

        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = layer.weight, layer.bias = parameters  # type: ignore[attr-defined]
            for name, buffer in state._asdict().items():
                self.register_buffer(name, buffer)

        def forward(self, x: Any) -> Any:
            """The function's call."""
            return layer.forward(x, "training" if self.training else "inference")

    return Norm()
