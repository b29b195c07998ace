"""Known deviations of MNN."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import many_large_values, scales, trains_on_nothing
from bnspec.model.case import PARAMETERS, Case


def infers_nothing(case: Case) -> bool:
    """Inference of a batch without values."""
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.call.mode == "inference" and s.inputs]
    return any(not x.size for x in batches)


def has_spoiled_parameters(case: Case) -> bool:
    """A parameter or statistic is not finite."""
    given = [a for n, a in case.arrays.items() if n.partition("|")[0] in PARAMETERS]
    return any(not np.isfinite(a.astype(np.float64)).all() for a in given)


#: What is asked of an inference: all of it deviates where y is arbitrary.
OF_CONSTANTS = (
    "accuracy.errors_are_unbiased",
    "accuracy.keeps_a_digit",
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "contract.completes",
    "dtype.results",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "epsilon.only_the_sum_counts",
    "inference.bits_are_independent_of_batch",
    "inference.output",
    "inference.repeatable",
    "inference.value_is_independent_of_batch",
    "layout.axis",
    "layout.channels_permute",
    "layout.extents",
    "layout.joined_axes",
    "layout.strides",
    "layout.threads",
    "special.channels_are_isolated",
    "special.inference_keeps_special_values",
    "special.negative_variance_is_shown",
    "special.parameters_are_not_hidden",
)

KNOWN: tuple[Known, ...] = (
    Known(
        title="Inference of an empty batch raises SystemError",
        backends="mnn, mnn.converted",
        clauses=("contract.accepts",),
        where=infers_nothing,
        conditions="inference of a batch without values",
        kind="bug",
        reason="Var.read returns None together with an error where a variable has no values, which Python answers with SystemError.",
        observed='nn.batch_norm(2, 2) of shape (0, 2): y has the shape [0, 2]; y.read() raises SystemError, caused by "call to readMap meet a error".',
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="An empty batch makes statistics NaN and then raises",
        backends="mnn",
        clauses=("errors.leave_the_state",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics in the forward pass; y, which has no values, cannot be read.",
        observed="nn.batch_norm(2, 2) with mean 2, 3 and variance 1, 1, of shape (0, 2): y.read() raises SystemError, and all four are nan.",
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="Sums of many large values lose every digit",
        backends="mnn",
        clauses=("accuracy.keeps_a_digit",),
        where=many_large_values,
        conditions="float32 x, 1,000 values or more each, count |mean| > 1e8 std, in training mode",
        kind="accuracy",
        reason="the values are added one after the other in float32.",
        observed="100,000 rows of mean 1e4 and standard deviation 1, momentum 0: running mean 9992.59, exact 10000.00; running variance 55.9, exact 1.00.",
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="A folded convolution of three dimensions at the end of a model loses the output's name",
        backends="mnn.folded*",
        clauses=("contract.accepts",),
        where=lambda case: case.config.rank == 5,
        conditions="a three-dimensional convolution, and BatchNormalization after it as the model's output",
        kind="bug",
        reason="the converter makes one convolution of both, and the name of the model's output is gone; with an Identity after it, the output is there and right.",
        observed='Conv and BatchNormalization "y" of x of shape (1, 2, 2, 2, 2): load_module_from_file says "Can\'t find output y from the model"; of shape (1, 2, 2, 2) y is right.',
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="A convolution makes NaN and infinities the largest number",
        backends="mnn.folded*",
        clauses=("special.parameters_are_not_hidden",),
        where=has_spoiled_parameters,
        conditions="a parameter or statistic that is NaN or infinite, in a convolution of one or two dimensions",
        kind="bug",
        reason="results of convolutions are clamped to the range of float32, and a clamp of NaN gives its upper end.",
        observed="x 1, weight 1: with a running mean or variance of NaN, or gamma or beta NaN or inf, y is 3.4028235e+38. So it is where x itself is NaN or inf.",
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="A convolution's bits depend on the batch",
        backends="mnn.folded",
        clauses=("inference.bits_are_independent_of_batch",),
        where=lambda case: case.config.rank == 4,
        conditions="images",
        kind="accuracy",
        reason="the kernel of a convolution is chosen by the shape of x, and kernels round differently.",
        observed="x of shape (3, 2, 5, 2): of the 20 values of row 0 one is -23.447338 alone, and -23.447336 in the batch.",
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="Of a constant the node gives what is in memory",
        backends="mnn.converted.constant",
        clauses=OF_CONSTANTS,
        where=lambda case: case.subject == "batch_norm",
        conditions="BatchNormalization of an x that is a constant of the model, as an initializer or behind an Identity",
        kind="bug",
        reason="the converter computes the node of constants ahead, and what it stores is memory that nothing has been written to; of ConstantOfShape it is right, and so are Relu, Mul and Conv of constants.",
        observed="x [3, 5], gamma 1, beta 0, mean 0, variance 1, epsilon 0: y [0, 0], [-64203.75, 3.1e-41] and [-69909.375, 3.1e-41] of three conversions, in place of [3, 5].",
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="A training node for its y alone is an inference",
        backends="mnn.converted.output",
        clauses=("input.transform", "input.constant_feature_is_finite"),
        where=scales,
        conditions="BatchNormalization with training_mode=1 whose other outputs are left out",
        kind="bug",
        reason="the converter does not look at training_mode: y is normalised by the running statistics. A model with three outputs is converted, and not loaded.",
        observed="x [[1, 2], [3, 6]], running mean 3 and variance 4, epsilon 0.001: y is [[-1, -0.5], [0, 1.5]]; of onnx's reference evaluator, OpenVINO and TVM [[-1, -1], [1, 1]].",
        reported=False,
        package="MNN",
        versions=">=3.6,<3.7",
    ),
    Known(
        title="A node whose parameters are inputs ends the converter's process",
        backends="mnn.converted.inputs",
        clauses=("contract.completes",),
        where=lambda case: True,
        conditions="BatchNormalization whose scale, or another of its parameters and statistics, is an input of the model",
        kind="bug",
        reason="the converter says that gamma is not valid, goes on without it, and ends in a segmentation fault.",
        observed="inputs x, scale, bias, mean and var, opset 15: \"BatchNorm's gamma not valid!\", then SIGSEGV; onnx's reference evaluator and ONNX Runtime run the model.",
        reported=False,
        link="https://github.com/alibaba/MNN/issues/1136",
        search="The report is of a node that was not folded, before MNN had the operation.",
        package="MNN",
        versions=">=3.6,<3.7",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="mnn",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
    Choice(
        backend="mnn.folded",
        clause="special.negative_variance_is_shown",
        note="NaN, the root of a negative variance, becomes the largest number.",
    ),
    Choice(
        backend="mnn.folded.transposed",
        clause="special.negative_variance_is_shown",
        note="NaN, the root of a negative variance, becomes the largest number.",
    ),
)
