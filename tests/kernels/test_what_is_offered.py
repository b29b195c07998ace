"""What a kernel offers is found in the process that has it: ranks, axes, and the meaning of what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnspec.backends.kernels.adapter import TRUNCATED
from bnspec.backends.kernels.layer import supplied, unjudged
from bnspec.backends.kernels.offers import Offers, offers_of
from bnspec.backends.kernels.python_function import Arrays, PythonFunction


def offered(function: Callable[..., Any]) -> tuple[Offers, list[str], list[str]]:
    """What is offered, computed in its place, and not judged."""
    procedure = PythonFunction(function, "run", Arrays())
    found = offers_of(procedure)
    return found, supplied(procedure, None, found.results), unjudged(procedure, None, found.results)


def normalised(x: np.ndarray, eps: float, last: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """zhat, mean and variance."""
    axes = tuple(a for a in range(x.ndim) if a != (x.ndim - 1 if last else 1))
    mean, var = x.mean(axes, np.float64, keepdims=True), x.var(axes, np.float64, keepdims=True)
    return (x - mean) / np.sqrt(var + eps), mean.reshape(-1), var.reshape(-1)


def shaped(x: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """One value for each channel, as x has them on axis 1."""
    return channels.reshape((1, -1) + (1,) * (x.ndim - 2))


def affine(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float) -> np.ndarray:
    """y."""
    return (normalised(x, eps)[0] * shaped(x, gamma) + shaped(x, beta)).astype(x.dtype)


def test_a_rank_whose_last_elements_are_forgotten_is_offered() -> None:
    """Else the suite would never meet the mistake."""

    def run(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        y = affine(x, gamma, beta, eps)
        if x.ndim > 2:
            y[-1, -1, ..., -1] = np.nan
        return y

    found = offered(run)[0]
    assert (found.conventions.ranks, found.unjudged) == ((2, 3, 4, 5), ())


def test_a_rank_that_gives_something_else_is_not_offered_and_is_named() -> None:
    """A kernel that was written for images."""

    def run(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return affine(x, gamma, beta, eps) if x.ndim == 4 else 3 * x

    found = offered(run)[0]
    assert found.conventions.ranks == (4,)
    assert "x of rank 5, of which it makes something else" in found.unjudged


def test_a_kernel_without_gamma_is_compared_without_it() -> None:
    """Its channels are where they are."""

    def run(x: Any, eps: float) -> Any:
        return normalised(x, eps, last=True)[0].astype(x.dtype)

    found, ours, _ = offered(run)
    assert (found.conventions.channel_axes, found.conventions.affine_optional) == ("last", True)
    assert ours == ["running_mean", "running_var"]


def test_a_mean_in_a_dict_is_the_batchs_where_its_values_are() -> None:
    """Its name is of both; nobody returns running statistics that were never given."""

    def run(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        _, mean, var = normalised(x, eps)
        return {"out": affine(x, gamma, beta, eps), "mean": mean, "variance": var}

    found, ours, not_judged = offered(run)
    assert found.results == ("y", "batch_mean", "batch_var")
    assert (ours, not_judged) == ([], [])


def test_what_is_not_known_of_the_results_hides_nothing_else() -> None:
    """And is said; a root that nothing reads as well."""

    def run(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        _, mean, var = normalised(x, eps)
        return affine(x, gamma, beta, eps), mean, 7 * var, 1 / np.sqrt(var + eps)

    found, ours, not_judged = offered(run)
    assert found.results == ("y", "batch_mean", "2", "inv_std")
    assert (ours, not_judged) == (["running_var"], ["result 2", "inv_std"])


def test_float64_that_is_computed_in_float32_is_not_offered_and_is_named() -> None:
    """As by most kernels of devices, whatever they do with gamma."""

    def run(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        zhat = normalised(np.asarray(x, np.float32), eps)[0].astype(np.float32)
        return (zhat * shaped(x, gamma) + shaped(x, beta)).astype(x.dtype)

    found = offered(run)[0]
    assert "float64" not in found.conventions.dtypes
    assert "x of float64, which it computes in float32" in found.unjudged


def test_a_dtype_that_its_interpreter_truncates_is_not_offered_and_is_named() -> None:
    """Unless there is no other."""

    def run(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return affine(x, gamma, beta, eps)

    found = offered(run)[0].without("bfloat16", TRUNCATED)
    assert found.conventions.dtypes == ("float64", "float32", "float16")
    assert "Triton's interpreter truncates" in found.unjudged[0]
    assert found.without("bfloat16", TRUNCATED) is found
