"""What the parameters and the results of a kernel stand for, by their names.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Dict, Mapping, Sequence, Tuple

from bnspec.errors import UsageError

#: The usual names of each role, in small letters. A batch's statistics are results of training and arguments of a backward pass.
NAMES: Mapping[str, Tuple[str, ...]] = {
    "x": ("x", "input", "inputs", "inp", "data", "xs", "input_tensor", "x_ptr"),
    "dy": ("dy", "dout", "grad", "grad_output", "grad_out", "grad_y", "gy", "dy_ptr"),
    "gamma": ("gamma", "weight", "scale", "w", "gamma_ptr", "weight_ptr"),
    "beta": ("beta", "bias", "shift", "offset", "b", "beta_ptr", "bias_ptr"),
    "running_mean": ("running_mean", "mean", "moving_mean", "input_mean", "est_mean", "running_mean_ptr", "mean_ptr"),
    "running_var": ("running_var", "var", "variance", "moving_var", "moving_variance", "input_var", "est_var", "running_var_ptr", "var_ptr"),
    "epsilon": ("eps", "epsilon"),
    "momentum": ("momentum", "exponential_average_factor", "factor"),
    "decay": ("decay", "decay_rate"),
    "training": ("training", "train", "is_training", "use_batch_stats", "training_mode"),
    "inference": ("inference", "is_test", "use_running_stats", "eval"),
    "y": ("y", "out", "output", "outputs", "result", "y_ptr", "out_ptr", "output_ptr"),
    "batch_mean": ("batch_mean", "save_mean", "saved_mean", "mean_out", "mu", "save_mean_ptr"),
    "batch_var": ("batch_var", "save_var", "saved_var", "saved_variance", "var_out", "save_var_ptr"),
    "inv_std": ("inv_std", "invstd", "save_invstd", "saved_inv_std", "rstd", "save_inv_std", "rstd_ptr"),
    "new_running_mean": ("new_running_mean", "running_mean_out", "updated_mean", "out_running_mean"),
    "new_running_var": ("new_running_var", "running_var_out", "updated_var", "out_running_var"),
    "dx": ("dx", "grad_input", "grad_x", "gx", "dx_ptr"),
    "dgamma": ("dgamma", "grad_weight", "grad_gamma", "dweight", "dscale", "dw", "dgamma_ptr"),
    "dbeta": ("dbeta", "grad_bias", "grad_beta", "dbias", "dshift", "db", "dbeta_ptr"),
    "batch": ("n", "batch", "batch_size"),
    "channels": ("c", "channels", "num_features", "features", "num_channels"),
    "positions": ("hw", "s", "spatial", "positions", "l", "inner"),
    "count": ("m", "count"),
    "size": ("size", "numel", "n_elements"),
}  # fmt: skip
#: Names of a result that may be the batch's statistic as well as the new running one: its values tell.
OPEN = ("mean", "var", "variance", "mean_ptr", "var_ptr")
ROLE_OF: Mapping[str, str] = {name: role for role, names in NAMES.items() for name in names}

#: Results, in the order in which they are usually returned.
OUTPUTS = ("y", "batch_mean", "batch_var", "inv_std", "new_running_mean", "new_running_var", "dx", "dgamma", "dbeta")
#: Arrays that a kernel reads, besides its results.
ARRAYS = ("x", "dy", "gamma", "beta", "running_mean", "running_var")
#: Integers that are known from x.
SIZES = ("batch", "channels", "positions", "count", "size")
NUMBERS = ("epsilon", "momentum", "decay", "training", "inference", *SIZES)


def role_of(parameter: str) -> str:
    """The role of a parameter of this name; "" where it is none that is known."""
    return ROLE_OF.get(parameter.lower().strip("_"), "")


def roles_of(
    owner: str, required: Sequence[str], optional: Sequence[str] = (), backward: bool = False
) -> Dict[str, str]:
    """The role of each parameter by its name; of optional ones those that are known.

    In a backward pass, mean and var are the batch's.
    Raises UsageError: a required parameter is unknown, or two have one role.
    """
    found: Dict[str, str] = {}
    for name in (*required, *optional):
        role = role_of(name)
        if backward:
            role = {"running_mean": "batch_mean", "running_var": "batch_var"}.get(role, role)
        if not role and name in required:
            raise UsageError(
                "%s takes %r, and what that is cannot be told from its name." % (owner, name),
                "known are %s." % ", ".join(names[0] for names in NAMES.values()),
                "rename the parameter, give it a default, or write an adapter: examples/my_layer.py.",
            )
        if not role:
            continue
        if role in found.values():
            raise UsageError(
                "%s takes %s twice." % (owner, role),
                "%s are names of the same." % " and ".join(n for n in (*found, name) if n == name or found[n] == role),
                "rename one of the parameters.",
            )
        found[name] = role
    if "x" not in found.values():
        raise UsageError(
            "%s takes no x." % owner, "its parameters are %s." % (", ".join(required) or "none"), "call its input x."
        )
    return found
