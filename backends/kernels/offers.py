"""What a kernel offers, found by calling it: ranks, channel axis, dtypes, and the meaning of results without a name.

A form that raises is not offered, nor is float64 where it is computed in float32. Where some ranks give y in most elements, and others something else, those that do are offered; where
none does, all that returned are, and the suite says what is wrong.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.procedure import Procedure, Unknown, numbers
from bnspec.backends.kernels.results import meaning
from bnspec.backends.worker.exceptions import NoSpace, described
from bnspec.contract import Conventions, LayerConfig
from bnspec.equations import batch_norm as eq
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of
from bnspec.model.call import Mode
from bnspec.model.conventions import HALVES, Dtype, OfferedAxes

RANKS = (4, 2, 3, 5)
#: Extents besides the channels, all different; how far y of a kernel that normalises these axes may lie from the equations.
EXTENTS, NEAR = (4, 5, 2, 6), 0.25
#: How the reason of a form begins where the kernel raised.
RAISED = "raised "
#: Builds a layer's forward call: from the configuration and the arrays to the results by role or number.
Call = Callable[[LayerConfig, Mapping[str, Any], Mode], Dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Form:
    """A form of x that is tried: its configuration and arrays."""

    config: LayerConfig
    arrays: Mapping[str, Any]

    @classmethod
    def of(cls, rank: int, axis: int, dtype: str, parameter_dtype: str, channels: int = 3) -> Form:
        """A batch of pairwise distinct extents, with ``channels`` on this axis."""
        others = iter(EXTENTS)
        shape = tuple(channels if a == axis else next(others) for a in range(rank))
        values = np.random.RandomState(5).standard_normal(shape)
        centre = np.arange(channels).reshape(tuple(channels if a == axis else 1 for a in range(rank)))
        kind = dtype_of(parameter_dtype)
        spread = np.arange(channels)
        arrays = {
            "x": (2.0 * values + 3.0 * centre + 1.0).astype(dtype_of(dtype)),
            "gamma": (1.5 - 0.5 * spread).astype(kind),
            "beta": (0.5 + spread).astype(kind),
            "running_mean": (20.0 + 7.0 * spread).astype(kind),
            "running_var": (50.0 + 11.0 * spread).astype(kind),
        }
        return cls(LayerConfig(rank, axis, channels, 2.0**-4, 0.75, dtype, parameter_dtype), arrays)


@dataclasses.dataclass(frozen=True)
class Offers:
    """What was found.

    Attributes:
        conventions: those that follow from it. meaning: the roles of unnamed results, by number. results: all, by role or number.
        unjudged: forms of x that return and are not offered, each with its reason.
    """

    conventions: Conventions
    meaning: Mapping[str, str]
    results: Tuple[str, ...] = ()
    unjudged: Tuple[str, ...] = ()

    def without(self, dtype: Dtype, why: str) -> Offers:
        """The same without a dtype of x; itself, where there is no other one."""
        left = tuple(d for d in self.conventions.dtypes if d != dtype)
        if not left or left == self.conventions.dtypes:
            return self
        conventions = dataclasses.replace(self.conventions, dtypes=left)
        return dataclasses.replace(
            self, conventions=conventions, unjudged=(*self.unjudged, "x of %s, %s" % (dtype, why))
        )


def offers_of(forward: Procedure, channels: Optional[int] = None, ranks: Tuple[int, ...] = RANKS) -> Offers:
    """Try every form. ``channels``: the only number that the kernel takes. Raises UsageError: no form gives y."""
    C = channels or 3
    mode = forward.modes[0]
    failed: List[str] = []
    for dtype in ("float32", "float64", "float16", "bfloat16"):
        tried: Dict[Tuple[int, int], float] = {}
        for rank in ranks:
            for axis in dict.fromkeys((1, rank - 1)):
                error, reason = distance(forward, Form.of(rank, axis, dtype, dtype, C), mode)
                if reason:
                    failed.append(reason)
                else:
                    tried[rank, axis] = error
        if tried:
            return _described(forward, tried, dtype, mode, C)
    raised = all(reason.startswith(RAISED) for reason in failed)
    raise UsageError(
        "%s %s form of x." % (forward.owner, "raises on every" if raised else "gives no y for any"),
        "the first time it %s." % failed[0].rstrip(".: "),
        "bnspec judge calls it with x of rank 2 to 5 and parameters of shape (C,); see README.md, Judge a kernel.",
    )


def distance(forward: Procedure, form: Form, mode: Mode) -> Tuple[float, str]:
    """How far y is from the equations in half of its elements at least, in units of beta's and gamma's size; or why there is no y.

    In half: a kernel that forgets the last elements of some ranks offers them.
    """
    try:
        found = called(forward, form, mode)
    except NoSpace:
        raise
    except Unknown as error:
        return np.inf, str(error)
    except BaseException as error:  # noqa: BLE001  # whatever a kernel raises, an exit too, it does not offer this form
        return np.inf, RAISED + described(error)
    x, given = form.arrays["x"], found.get("y", found.get("0"))
    if given is None and "y" not in forward.returns:
        return np.inf, "returned %s, and no y" % (forward.returned or "nothing")
    y = np.asarray(given)
    if y.shape != x.shape:
        if forward.returned and not y.ndim:
            return np.inf, "returned %s, and no y of x's shape %s" % (forward.returned, x.shape)
        return np.inf, "gave y of shape %s for x of shape %s" % (y.shape, x.shape)
    with np.errstate(all="ignore"):
        try:
            apart = np.abs(y.astype(np.float64) - reference(form, mode, "gamma" in forward.takes))
        except (TypeError, ValueError):
            return np.inf, "gave y of dtype %s" % y.dtype
    return float(np.median(np.where(np.isfinite(apart), apart, np.inf))), ""


def called(forward: Procedure, form: Form, mode: Mode) -> Dict[str, Any]:
    """The results of one call on fresh copies of the form's arrays."""
    arrays: Dict[str, Any] = {n: a.copy() for n, a in form.arrays.items()}
    values = {**arrays, **numbers(form.config, mode, "new", arrays["x"].shape)}
    for role in forward.returns:
        shape = arrays["x"].shape if role == "y" else (form.config.channels,)
        values.setdefault(
            role, np.full(shape, np.nan, dtype_of(form.config.dtype if role == "y" else form.config.parameter_dtype))
        )
    return forward(values)


def reference(form: Form, mode: Mode, affine: bool = True) -> np.ndarray:
    """y by the equations in float64."""
    wide = {n: np.asarray(a).astype(np.float64) for n, a in form.arrays.items()}
    if not affine:
        wide.update(gamma=np.ones_like(wide["gamma"]), beta=np.zeros_like(wide["beta"]))
    gamma, beta, mean, var = (
        wide[n].reshape(form.config.channel_shape) for n in ("gamma", "beta", "running_mean", "running_var")
    )
    if mode == "training":
        return np.asarray(eq.training_forward(wide["x"], gamma, beta, form.config.epsilon, form.config.reduce_axes))
    return np.asarray(eq.inference_forward(wide["x"], gamma, beta, mean, var, form.config.epsilon))


def _described(
    forward: Procedure, tried: Mapping[Tuple[int, int], float], dtype: str, mode: Mode, channels: int
) -> Offers:
    near = {place for place, error in tried.items() if error < NEAR} or set(tried)
    first = sorted({rank for rank, axis in near if axis == 1})
    last = sorted({rank for rank, axis in near if axis == rank - 1})
    axes: OfferedAxes = "last" if len(last) > len(first) else "first"
    ranks = tuple(last if axes == "last" else first)
    rank = ranks[-1]
    axis = 1 if axes == "first" else rank - 1
    # a form whose results name themselves is the one with the fewest coincidences
    form = Form.of(rank, axis, dtype, dtype, channels)
    found = called(forward, form, mode)
    roles = meaning(
        found,
        form.arrays["x"],
        form.config.reduce_axes,
        {**form.arrays, "epsilon": form.config.epsilon},
        form.config.decay,
    )
    dtypes, parameters = _dtypes(forward, rank, axis, mode, channels)
    conventions = Conventions(
        running_correction=0,
        count_one="biased",
        empty_batch="unspecified",
        half_statistics="float32",
        half_arithmetic="float32",
        dtypes=dtypes,
        half_parameters=parameters,
        ranks=ranks,
        channel_axes=axes,
        affine_optional="gamma" in forward.optional or "gamma" not in forward.takes,
    )
    astray = sorted({r for r, _ in tried} - {r for r, _ in near})
    unjudged = tuple("x of rank %d, of which it makes something else" % r for r in astray)
    offers = Offers(conventions, roles, tuple(roles.get(name, name) for name in found), unjudged)
    if "float64" in dtypes and _narrowed(forward, Form.of(rank, axis, "float64", "float64", channels), mode):
        return offers.without("float64", "which it computes in float32")
    return offers


def _narrowed(forward: Procedure, form: Form, mode: Mode) -> bool:
    """Whether y of float64 holds numbers of float32 alone, as that of a kernel whose arithmetic is float32 whatever it is given.

    Of gamma 1 and beta 0, which some kernels take in float64 all the same.
    """
    plain = {**form.arrays, "gamma": np.ones_like(form.arrays["gamma"]), "beta": np.zeros_like(form.arrays["beta"])}
    found = called(forward, dataclasses.replace(form, arrays=plain), mode)
    y = np.asarray(found.get("y", found.get("0")))
    with np.errstate(all="ignore"):
        return bool((y.astype(np.float32).astype(y.dtype) == y).all())


def _dtypes(
    forward: Procedure, rank: int, axis: int, mode: Mode, channels: int
) -> Tuple[Tuple[Any, ...], Tuple[Any, ...]]:
    """The dtypes of x that return, and those of parameters with a half-precision x."""

    def returns(dtype: str, parameters: str) -> bool:
        return not distance(forward, Form.of(rank, axis, dtype, parameters, channels), mode)[1]

    dtypes: List[Any] = [d for d in ("float64", "float32") if returns(d, d)]
    offered: List[Any] = []
    for name in ("float32", "input"):
        halves = [d for d in HALVES if returns(d, d if name == "input" else name)]
        if halves and all(d in dtypes for d in halves) | (not offered):
            offered.append(name)
            dtypes += [d for d in halves if d not in dtypes]
    return tuple(dtypes), tuple(offered) or ("float32",)
