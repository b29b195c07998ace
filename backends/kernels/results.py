"""What the results of a kernel are that it returns in an order of its own: found by calling it on data that tell them apart.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

#: Numbers whose statistics are far from each other and from every running value; how near a result must be to one of them.
NEAR = 0.05


def meaning(
    found: Mapping[str, Any], x: np.ndarray, axes: Tuple[int, ...], given: Mapping[str, Any], decay: float
) -> Dict[str, str]:
    """The role of each unnamed result that can be told, by its number; the first one is y, unless another is called so.

    Args:
        found: the results of a call; those without a name are called "0", "1", ...
        x, axes: the batch and its reduced axes; given: the arguments; decay: the weight of the old running value.
    """
    wide = x.astype(np.float64)
    mean, var = wide.mean(axes), wide.var(axes)
    count = wide.size // max(mean.size, 1)
    unbiased = var * count / max(count - 1, 1)
    known: List[Tuple[str, np.ndarray]] = [("batch_mean", mean), ("batch_var", var), ("batch_var", unbiased)]
    known.append(("inv_std", 1.0 / np.sqrt(var + given["epsilon"])))
    if given.get("running_mean") is not None:
        old_mean, old_var = (np.asarray(given[n], np.float64) for n in ("running_mean", "running_var"))
        for weight in (decay, 1.0 - decay):
            known.append(("new_running_mean", weight * old_mean + (1.0 - weight) * mean))
            known += [("new_running_var", weight * old_var + (1.0 - weight) * v) for v in (var, unbiased)]
    roles: Dict[str, str] = {}
    for name, value in found.items():
        if not name.isdigit():
            continue
        if name == "0" and "y" not in found:
            roles[name] = "y"
            continue
        role = next((r for r, v in known if _near(value, v) and r not in roles.values()), "")
        if role:
            roles[name] = role
    return roles


def _near(value: Any, reference: np.ndarray) -> bool:
    array = np.asarray(value)
    if array.size != reference.size or array.dtype.kind not in "fV":
        return False
    error = np.abs(array.astype(np.float64).reshape(-1) - reference)
    return bool((error <= NEAR * np.maximum(np.abs(reference), 1e-6)).all())
