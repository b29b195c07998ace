"""Known deviations of PyTorch's operator where it writes into a tensor that is given, ``out=``."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.model.case import Case

RELEASES = ">=2.13,<2.14"
#: What looks at y.
RESULTS = (
    "accuracy.keeps_a_digit",
    "affine.absent_is_identity",
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "degenerate.constant_channel",
    "dtype.half_is_as_exact_as_declared",
    "dtype.parameters_are_not_narrowed",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "epsilon.inside_root_in_training",
    "inference.bits_are_independent_of_batch",
    "inference.follows_training",
    "inference.output",
    "inference.value_is_independent_of_batch",
    "layout.axis",
    "layout.channels_permute",
    "layout.copies",
    "layout.extents",
    "layout.strides",
    "layout.threads",
    "purity.shared_arguments",
    "special.channels_are_isolated",
    "special.inference_keeps_special_values",
    "special.infinity_is_not_hidden",
    "special.nan_is_not_hidden",
    "special.negative_variance_is_shown",
    "special.parameters_are_not_hidden",
    "training.finite",
    "training.order_of_elements",
    "training.output",
    "training.output_is_stable",
    "training.output_moments",
    "training.repeated_batch",
    "training.scale_equivariant",
    "training.shift_invariant",
)
#: What looks at the results of a training step, the statistics among them.
STEPS = (
    "accuracy.keeps_a_digit",
    "degenerate.count_one",
    "dtype.half_is_as_exact_as_declared",
    "epsilon.inside_root_in_training",
    "epsilon.not_in_running_variance",
    "inference.follows_training",
    "layout.axis",
    "layout.copies",
    "layout.extents",
    "layout.strides",
    "layout.threads",
    "running.decay_zero_replaces",
    "running.mean",
    "running.second_step_continues",
    "running.statistics_are_stable",
    "running.unrolled",
    "running.var",
    "special.channels_are_isolated",
    "training.finite",
    "training.ignores_decay",
    "training.ignores_running_state",
    "training.order_of_elements",
    "training.output",
    "training.output_is_stable",
    "training.output_moments",
    "training.repeatable",
    "training.repeated_batch",
)


def trains_on_view(case: Case) -> bool:
    """A training step on an input that is a view with strides of its own."""
    given = [name for s in case.steps if s.call.mode == "training" for name in s.inputs]
    return any(not case.arrays[name].flags.c_contiguous for name in given)


OUT: tuple[Known, ...] = (
    Known(
        title="y in another memory format is written in x's order",
        backends="torch.native.out",
        clauses=RESULTS,
        where=lambda case: True,
        conditions="native_batch_norm with out=, where x is packed and y has its channels last in memory, or the other way round",
        kind="bug",
        reason=(
            "the kernel asks whether x and y are packed in either of the two orders, and then walks through both in the order of x, "
            "so that values land in places of other ones, without an error."
        ),
        observed=(
            "x 0 to 7 as (1, 2, 2, 2), running statistics 0 and 1, training=False, y with the channels last: y is "
            "0, 2, 4, 6, 1, 3, 5, 7; without out= 0 to 7."
        ),
        reported=False,
        link="https://github.com/pytorch/pytorch/issues/62594",
        search="The report is of channels last on GPUs, without out=.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="Statistics of a view by out= are those of other memory",
        backends="torch.native.out",
        clauses=STEPS,
        where=trains_on_view,
        conditions="native_batch_norm with out= in training, where x is a view with strides of its own",
        kind="bug",
        reason="the mean is read from the tensor for saved values before it is written: y and both statistics are by what was in its memory.",
        observed=(
            "x 0, 2, 4, 6, a view of every second value, out= with zeros, momentum 0.5: running_mean stays 0 and running_var becomes 9.83, "
            "without out= 1.5 and 3.83; with torch.empty for the saved values they are others in each run."
        ),
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
)
