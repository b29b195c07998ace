"""A layer around a kernel's procedures: keeps parameters and state as NumPy arrays, and says what the kernel does not offer.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from bnspec.backends.kernels.procedure import NO_BACKWARD, Procedure, numbers
from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.contract import Declined, Gradients, LayerConfig, State
from bnspec.equations import batch_norm as eq
from bnspec.errors import UsageError
from bnspec.model.buffers import check_dtype, dtype_of
from bnspec.model.call import Mode

#: The running statistics, and how each is computed from a batch.
RUNNING = ("running_mean", "running_var")
NEW = ("new_running_mean", "new_running_var")
LIKE_X = ("y", "dx")
#: The statistics that a backward pass may take.
SAVED = ("batch_mean", "batch_var", "inv_std")


class KernelLayer(LayerByMode):
    """One layer.

    Args:
        forward, backward: the kernel's procedures; backward None where it has none.
        meaning: the roles of results that have no name, by their number, of each procedure.
        momentum_weighs: which value the number called momentum weighs.
        parameters: gamma, beta, running_mean and running_var, each of shape (C,) or None.
    """

    def __init__(
        self,
        forward: Procedure,
        backward: Optional[Procedure],
        meaning: Mapping[str, str],
        momentum_weighs: str,
        config: LayerConfig,
        parameters: Mapping[str, Any],
    ) -> None:
        self.forward_pass, self.backward_pass, self.meaning = forward, backward, meaning
        self.momentum_weighs, self.config = momentum_weighs, config
        self.values: Dict[str, Any] = dict(parameters)
        refuse(forward, config)

    def training(self, x: Any) -> Any:
        """The kernel's forward pass in training mode."""
        return self.forward(x, "training")["y"]

    def inference(self, x: Any) -> Any:
        """The kernel's forward pass in inference mode."""
        return self.forward(x, "inference")["y"]

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """The forward pass, then the kernel's backward pass."""
        backward = self.backward_pass
        if backward is None:
            return self.differentiated(x, dy, mode)
        if mode not in backward.modes and mode == "inference":
            raise Declined(NO_BACKWARD + " in inference mode")
        results = self.forward(x, mode)
        found = backward(self.given(backward, x, mode, dy=dy, **self.saved(x, mode, results)))
        gradients = dict(zip(("dx", "dgamma", "dbeta"), (found[n] for n in sorted(found) if n.isdigit())))
        gradients.update({n: v for n, v in found.items() if not n.isdigit()})
        if "dx" not in gradients:
            raise ValueError("the backward pass gave no dx")
        wanted = ("dgamma", "dbeta") if self.config.affine else ()
        return Gradients(
            results["y"], gradients["dx"], *(gradients.get(n) if n in wanted else None for n in ("dgamma", "dbeta"))
        )

    def differentiated(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """The gradients of the framework's own differentiation."""
        found: Dict[str, Any] = {}

        def call(values: Dict[str, Any]) -> Dict[str, Any]:
            results, gradients = self.forward_pass.differentiated(values, dy)
            found.update(gradients)
            return results

        y = self.forward(x, mode, call)["y"]
        wanted = ("dgamma", "dbeta") if self.config.affine else ()
        return Gradients(y, found["dx"], *(found.get(n) if n in wanted else None for n in ("dgamma", "dbeta")))

    def state(self) -> State:
        """The running statistics."""
        return State(self.values["running_mean"], self.values["running_var"])

    def set_decay(self, decay: float) -> None:
        """Raise Declined: nothing says how a kernel's layer changes its decay."""
        raise Declined("the decay of a kernel is an argument of its calls")

    # --- the parts ----------------------------------------------------------------------------------------------------

    def forward(
        self, x: Any, mode: Mode, call: Optional[Callable[[Dict[str, Any]], Dict[str, Any]]] = None
    ) -> Dict[str, Any]:
        """The results of a forward pass by role; moves the running statistics in training. ``call``: how the kernel is called."""
        kernel = self.forward_pass
        if mode not in kernel.modes:
            raise Declined("this kernel has no %s mode" % mode)
        before = {n: self.values[n].copy() for n in RUNNING}
        found = {self.meaning.get(n, n): v for n, v in (call or kernel)(self.given(kernel, x, mode)).items()}
        if "y" not in found:
            raise ValueError("the kernel gave no y")
        refuse_dtype("y", found["y"])
        if mode == "training":
            self.track(x, found, before)
        return found

    def given(self, kernel: Procedure, x: Any, mode: Mode, **more: Any) -> Dict[str, Any]:
        """The arguments of a procedure by role, with memory for what it writes."""
        like = {"x": x, **self.values, **more, **numbers(self.config, mode, self.momentum_weighs, x.shape)}
        for role in kernel.returns:
            if role not in like:
                like[role] = self.memory(role, x)
        return like

    def memory(self, role: str, x: Any) -> np.ndarray:
        """Memory for a result, filled with NaN: what is not written shows."""
        if role in LIKE_X:
            return np.full(x.shape, np.nan, x.dtype)
        return np.full(self.config.channels, np.nan, dtype_of(self.config.parameter_dtype))

    def track(self, x: Any, found: Mapping[str, Any], before: Mapping[str, np.ndarray]) -> None:
        """The running statistics after a training step: moved by the kernel, or by the batch's statistics that it returned."""
        for running, new, batch in zip(RUNNING, NEW, SAVED):
            if new in found:
                self.values[running] = np.array(found[new]).reshape(-1)
            elif batch in found and not takes_average(self.forward_pass):
                self.values[running][...] = average(before[running], found[batch], self.config.decay)
            elif running not in self.forward_pass.takes:
                supply(self.values, running, x, self.config)

    def saved(self, x: Any, mode: Mode, results: Mapping[str, Any]) -> Dict[str, Any]:
        """The statistics for a backward pass: those that the forward pass saved, or computed here where it saved none."""
        backward = self.backward_pass
        assert backward is not None
        kind = dtype_of("float64" if self.config.parameter_dtype == "float64" else "float32")
        wide = x.astype(np.float64)
        if mode == "training" and x.size:
            mean, var = (s.reshape(-1) for s in eq.batch_statistics(wide, self.config.reduce_axes))
        else:
            mean, var = (self.values[n].astype(np.float64) for n in RUNNING)
        own = {"batch_mean": mean, "batch_var": var, "inv_std": 1.0 / np.sqrt(var + self.config.epsilon)}
        return {
            n: results[n] if n in results else own[n].astype(kind) if n in own else results.get(n)
            for n in (*own, "y")
            if n in backward.takes
        }


def supply(state: Mapping[str, np.ndarray], running: str, x: np.ndarray, config: LayerConfig) -> None:
    """Move a running statistic that the kernel does not keep, by that of a batch, which has elements."""
    if x.size:
        mean, var = eq.batch_statistics(x.astype(np.float64), config.reduce_axes)
        batch = {"running_mean": mean, "running_var": var}[running]
        state[running][...] = average(state[running], batch, config.decay)


def supplied(forward: Procedure, backward: Optional[Procedure], results: Sequence[str]) -> List[str]:
    """What a layer computes in the kernel's place: statistics that it neither moves nor returns, and those that its backward pass lacks."""
    kept = {*forward.takes, *results, *(r for r, b in zip(RUNNING, SAVED) if b in results)}
    found = [r for r, new in zip(RUNNING, NEW) if r not in kept and new not in kept]
    wanted = () if backward is None else backward.takes
    return found + [n for n in SAVED if n in wanted and n not in results]


def unjudged(forward: Procedure, backward: Optional[Procedure], results: Sequence[str]) -> List[str]:
    """The results that reach neither y, nor a running statistic, nor a gradient: those without a meaning are called by their number."""
    used = {"y", *NEW, *(() if backward is None else backward.takes)}
    if not takes_average(forward):
        used |= {batch for batch, new in zip(SAVED, NEW) if new not in results}
    return ["result %s" % n if n.isdigit() else n for n in dict.fromkeys(results) if n not in used]


def takes_average(kernel: Procedure) -> bool:
    """Whether a procedure moves the running statistics itself."""
    return "running_mean" in kernel.takes and bool({"momentum", "decay"} & set(kernel.takes))


def average(old: np.ndarray, batch: Any, decay: float) -> np.ndarray:
    """decay * old + (1 - decay) * batch, rounded once."""
    moved = decay * old.astype(np.float64) + (1.0 - decay) * np.asarray(batch).astype(np.float64).reshape(-1)
    return moved.astype(old.dtype)


def refuse_dtype(name: str, value: Any) -> None:
    """Raise TypeError for a result whose dtype no result has."""
    dtype = np.asarray(value).dtype
    try:
        check_dtype(dtype)
    except UsageError:
        raise TypeError("%s has dtype %s" % (name, dtype)) from None


def refuse(forward: Procedure, config: LayerConfig) -> None:
    """Raise Declined for a layer that the kernel's arguments do not allow."""
    if config.affine and "gamma" not in forward.takes:
        raise Declined("this kernel takes no gamma and beta")
    if not config.affine and "gamma" in forward.takes and "gamma" not in forward.optional:
        raise Declined("this kernel needs gamma and beta")
