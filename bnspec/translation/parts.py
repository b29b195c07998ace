"""The records of a translation: a layer's numbers, how each is translated, and the routes for inference and training."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from bnspec.errors import UsageError
from bnspec.model.conventions import DTYPES

How = Literal["copied", "computed", "rounded", "impossible"]
ARRAYS = ("gamma", "beta", "running_mean", "running_var")


@dataclasses.dataclass(frozen=True, eq=False)
class LayerValues:
    """A layer as its framework stores it.

    Attributes:
        epsilon: as given to the framework.
        momentum: the framework's number; ``momentum_weighs`` says which value it weighs (the old one for "none").
        running_mean, running_var: (C,), the statistics used by inference.
        gamma, beta: (C,), or None.
        dtype: of x; rank, channel_axis: of x.
        steps: training steps taken so far; None where unknown.
        parameter_dtype: of gamma and beta, or of the running statistics if those are absent.

    Raises UsageError: the numbers or arrays are malformed.
    """

    epsilon: float
    momentum: float
    running_mean: np.ndarray
    running_var: np.ndarray
    gamma: np.ndarray | None = None
    beta: np.ndarray | None = None
    dtype: str = "float32"
    rank: int = 4
    channel_axis: int = 1
    steps: int | None = None

    def __post_init__(self) -> None:
        arrays = [a for a in (getattr(self, n) for n in ARRAYS) if a is not None]
        problem = ""
        if (self.gamma is None) != (self.beta is None):
            problem = "one of gamma and beta is missing"
        elif len({a.shape for a in arrays}) != 1 or arrays[0].ndim != 1:
            problem = "its arrays are not all of one shape (C,)"
        elif not all(np.isfinite(a).all() for a in arrays):
            problem = "an array holds a NaN or an infinity"
        elif self.dtype not in DTYPES:
            problem = f"x has the unknown dtype {self.dtype!r}"
        elif not 0.0 <= self.momentum <= 1.0 or not 0.0 <= self.epsilon < np.inf:
            problem = f"momentum is {self.momentum!r} and epsilon {self.epsilon!r}"
        elif not 0 <= self.channel_axis < self.rank:
            problem = f"channel axis {self.channel_axis} is outside rank {self.rank}"
        if problem:
            raise UsageError(f"the layer cannot be translated: {problem}.", "LayerValues says what is.", "fix it.")

    @property
    def parameter_dtype(self) -> str:
        return str((self.running_mean if self.gamma is None else self.gamma).dtype.name)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """One translated item, and how it is translated.

    Attributes:
        name: a field of LayerValues, or "x", "y", "first_batch", "normalising_correction".
        how: "copied", "computed" (both exact), "rounded" (the target stores the nearest number), "impossible".
        formula: target from source; reason: why.
        value: the value given to the target; None if there is none.
    """

    name: str
    how: How
    formula: str
    reason: str = ""
    value: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Route:
    """A translation for one purpose.

    Attributes:
        parts: every translated item.
        needs: further conditions for it to be exact.
        layer: the target's layer; None if a part is impossible.
        is_exact: whether every part is copied or computed without rounding.
    """

    parts: tuple[Part, ...]
    needs: tuple[str, ...]
    layer: LayerValues | None

    @property
    def is_exact(self) -> bool:
        return all(p.how in ("copied", "computed") for p in self.parts)

    def by(self, how: How) -> tuple[Part, ...]:
        """The parts translated in this way."""
        return tuple(p for p in self.parts if p.how == how)

    def to_json(self) -> dict[str, Any]:
        """The route as JSON-ready data."""
        parts = [{**dataclasses.asdict(p), "value": _plain(p.value)} for p in self.parts]
        return {"exact": self.is_exact, "needs": list(self.needs), "parts": parts}


@dataclasses.dataclass(frozen=True, eq=False)
class Translation:
    """Both routes: ``inference`` for a layer that is no longer trained, ``training`` for one that is."""

    inference: Route
    training: Route

    def to_json(self) -> dict[str, Any]:
        """Both routes as JSON-ready data."""
        return {"inference": self.inference.to_json(), "training": self.training.to_json()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(np.float64).tolist()
    return list(value) if isinstance(value, tuple) else value
