"""Known deviations of ONNX's reference evaluator."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import all_half, is_half, rows_of_large_means, trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="Inference in opset 9 mixes the batch into the statistics",
        backends="onnx.opset9",
        clauses=(
            "accuracy.errors_are_unbiased",
            "affine.per_channel",
            "dtype.half_is_as_exact_as_declared",
            "epsilon.as_given",
            "epsilon.inside_root_in_inference",
            "epsilon.only_the_sum_counts",
            "inference.bits_are_independent_of_batch",
            "inference.output",
            "inference.value_is_independent_of_batch",
            "layout.axis",
            "layout.extents",
            "layout.strides",
            "special.channels_are_isolated",
            "special.inference_keeps_special_values",
            "special.negative_variance_is_shown",
        ),
        where=lambda case: any(s.call.mode == "inference" for s in case.steps),
        conditions="inference",
        kind="bug",
        reason="the evaluator takes the attribute momentum, whose default the schema supplies, for a sign of training, and normalises by the moved statistics.",
        observed="x [[1], [3]], running mean 0, running variance 4: y is [[0.4159], [1.4556]] by the moved 0.2 and 3.7; by the definition [[0.5], [1.5]].",
        reported=True,
        link="https://github.com/onnx/onnx/pull/8442",
        package="onnx",
        versions=">=1.16,<1.24",
    ),
    Known(
        title="An empty batch makes statistics NaN",
        backends="onnx.opset1*",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="x of shape (0, 1), training_mode=1: both statistics are nan.",
        reported=False,
        package="onnx",
        versions=">=1.16,<1.24",
    ),
    Known(
        title="Statistics have x's dtype",
        backends="onnx.opset15",
        clauses=("dtype.results",),
        where=lambda case: is_half(case) and not all_half(case),
        conditions="training on half-precision x with float32 statistics",
        kind="bug",
        reason="the evaluator casts the running statistics to x's dtype, where the operator's types say that of input_mean.",
        observed="x float16, statistics float32, training_mode=1: running_mean and running_var are float16.",
        reported=False,
        package="onnx",
        versions=">=1.16,<1.24",
    ),
    Known(
        title="Opsets 7 and 8 are not evaluated",
        backends="onnx.opset7",
        clauses=("contract.accepts",),
        where=lambda case: True,
        conditions="any call",
        kind="bug",
        reason="the evaluator of opset 7 returns a tuple in a tuple, which its own check of results rejects.",
        observed=(
            "BatchNormalization of opset 7 or 8: TypeError, \"One of the results returned by method '_run' of class "
            "'BatchNormalization_6' is a tuple\"; of opset 9 a result."
        ),
        reported=False,
        package="onnx",
        versions=">=1.16,<1.24",
    ),
    Known(
        title="Sums row by row lose every digit",
        backends="onnx.opset1*",
        clauses=("accuracy.keeps_a_digit",),
        where=rows_of_large_means,
        conditions="float32 x with its channels innermost, 1,000 values a channel or more, count |mean| > 1e8 std",
        kind="accuracy",
        reason="the evaluator's numpy.mean and numpy.var add rows of float32 one after the other; along a contiguous axis they add in pairs.",
        observed=(
            "100,000 rows of mean 1e4 and standard deviation 1: running variance 55.4, exact 0.995; the same as images with the "
            "channels first: 0.99716, exact 0.99712."
        ),
        link="https://github.com/numpy/numpy/issues/29772",
        reported=True,
        search="The report is of numpy.mean itself.",
        package="onnx",
        versions=">=1.16,<1.24",
    ),
)
