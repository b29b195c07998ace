"""Known deviations of PyTorch's modules for quantization-aware training."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Known
from bnspec.model.case import Case

RELEASES = ">=2.13,<2.14"


def has_no_scale(case: Case) -> bool:
    """In some channel weight / running std is 0, or not finite."""
    config = case.config
    given = {n: a.astype(np.float64) for n, a in case.arrays.items()}
    own = [n for n in given if n.partition("|")[0] in ("gamma", "running_var")]
    if case.subject != "batch_norm" or not config.affine:
        return False
    return any(
        not np.isfinite(given[n]).all() or (given[n] == 0.0).any() or (given[n] < -config.epsilon).any() for n in own
    )


#: What NaN in place of the output of the convolution shows in: y, the statistics and the gradients.
WITHOUT_A_SCALE = (
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "epsilon.inside_root_in_inference",
    "epsilon.inside_root_in_training",
    "epsilon.not_in_running_variance",
    "gradient.each_argument_alone",
    "gradient.inference_dx",
    "gradient.inference_parameters",
    "gradient.null_space",
    "gradient.training_dgamma",
    "gradient.training_dx",
    "gradient.training_is_stable",
    "inference.output",
    "inference.value_is_independent_of_batch",
    "layout.axis",
    "layout.extents",
    "running.mean",
    "running.moves_once_with_gradients",
    "running.second_step_continues",
    "running.statistics_are_stable",
    "running.var",
    "training.finite",
    "training.output",
    "training.output_is_stable",
)

QUANTIZATION: tuple[Known, ...] = (
    Known(
        title="A weight of 0 makes NaN in quantization-aware training",
        backends="torch.qat",
        clauses=WITHOUT_A_SCALE,
        where=has_no_scale,
        conditions="a channel whose weight is 0 or not finite, or whose running variance is not finite",
        kind="bug",
        reason=(
            "ConvBn*d multiplies the convolution's weight by weight / running std and divides its output by it again, before the module "
            "sees it: 0 / 0 enters y and the running statistics, which stay NaN."
        ),
        observed=(
            "ConvBn2d over a convolution by 1 and BatchNorm2d(1) with weight 0, x [1, 3] in train(): y is nan, nan and running_mean nan; of "
            "the two modules one after the other y is 0, 0 and running_mean 0.2. In eval() y is nan, too."
        ),
        link="https://github.com/pytorch/pytorch/pull/85744",
        reported=True,
        search="The link is the change that brought a second path, which a private flag turns on.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A module without weights cannot be fused for quantization-aware training",
        backends="torch.qat",
        clauses=("contract.accepts",),
        where=lambda case: case.subject == "batch_norm" and not case.config.affine,
        conditions="affine=False",
        kind="bug",
        reason="from_float takes the module, and the forward pass divides None, its weight, by the running standard deviation.",
        observed='ConvBn1d.from_float of a convolution and BatchNorm1d(8, affine=False): the call raises TypeError, "unsupported operand type(s) for /".',
        link="https://github.com/pytorch/pytorch/issues/122183",
        reported=False,
        search="The report is of linear layers whose module has no weights, fused by prepare_fx.",
        package="torch",
        versions=RELEASES,
    ),
)
