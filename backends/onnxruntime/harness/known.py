"""Known deviations of ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Choice, Known
from bnspec.backends.harness.known.predicates import has_constant_feature, rows_of_large_means, trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN",
        backends="onnxruntime.opset*, !onnxruntime.opset9.saved, !onnxruntime.opset15.output",
        clauses=("degenerate.empty_batch",),
        where=trains_on_nothing,
        conditions="training on a batch without values",
        kind="bug",
        reason="the mean of no values, 0/0, enters the statistics, without an error.",
        observed="x of shape (0, 1), training_mode=1: both statistics are nan.",
        reported=False,
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
    Known(
        title="Sums row by row lose every digit",
        backends="onnxruntime.opset*, !onnxruntime.opset15.output",
        clauses=("accuracy.keeps_a_digit", "input.fit_is_stable"),
        where=rows_of_large_means,
        conditions="float32 x with its channels innermost, 1,000 values a channel or more, count |mean| > 1e8 std, in training mode",
        kind="accuracy",
        reason="rows of float32 are added one after the other.",
        observed=(
            "100,000 rows of mean 1e4 and standard deviation 1: running variance 55.7, exact 0.99969; the same as images with the "
            "channels first: 1.00404, exact 1.00404."
        ),
        reported=False,
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
    Known(
        title="Outputs that are left out end the process",
        backends="onnxruntime.opset15.output",
        clauses=("contract.completes",),
        where=lambda case: any(s.call.mode == "training" for s in case.steps),
        conditions="training_mode=1, and running_mean and running_var, which are optional, are not named",
        kind="bug",
        reason="the kernel writes both running statistics, and does not ask whether the node has these outputs.",
        observed='x [[1], [3]], training_mode=1, outputs "y", "" and "": signal 11; the reference evaluator gives [[-1], [1]], and so does the node with three names.',
        reported=False,
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
    Known(
        title="The saved variance is 1 / sqrt(var + epsilon)",
        backends="onnxruntime.opset9.saved",
        clauses=(
            "input.chunks_do_not_matter",
            "input.empty_chunk_changes_nothing",
            "input.fit",
            "input.fit_is_stable",
            "input.merge_in_any_order",
            "input.units_do_not_matter",
            "input.constant_feature_is_finite",
            "input.constant_feature_keeps_its_unit",
        ),
        where=lambda case: case.subject == "input_norm",
        conditions="the fifth output of a node in training, before opset 14",
        kind="bug",
        reason="saved_var, by the operator's text the variance, is the reciprocal of the standard deviation, as cuDNN keeps it.",
        observed="x [[2], [6]], epsilon 0: saved_mean 4, saved_var 0.5; the variance is 4, and the second output has it.",
        reported=True,
        link="https://github.com/microsoft/onnxruntime/pull/6946",
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
    Known(
        title="MeanVarianceNormalization takes float32 alone",
        backends="onnxruntime.mvn",
        clauses=("contract.accepts",),
        where=lambda case: case.config.dtype != "float32",
        conditions="float16 or float64, which the operator's types name",
        kind="bug",
        reason="the operator is a function whose constants 2 and 1e-9 are float32, whatever x is.",
        observed='float64 [[1], [2], [4]]: "Type parameter (T) of Optype (Add) bound to different types (tensor(double) and tensor(float)".',
        link="https://github.com/onnx/onnx/issues/5753",
        reported=True,
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
    Known(
        title="MeanVarianceNormalization makes a constant feature NaN",
        backends="onnxruntime.mvn",
        clauses=("input.constant_feature_is_finite",),
        where=has_constant_feature,
        conditions="a constant feature, whose variance by E[X^2] - E[X]^2 is below 0",
        kind="accuracy",
        reason="the root of E[X^2] - E[X]^2 is taken before 1e-9 is added, and the difference may be negative.",
        observed="float32 0.1 three times: nan three times; the reference evaluator gives 0.",
        link="https://github.com/onnx/onnx/issues/3947",
        reported=False,
        search="The report asks for an epsilon of the caller's.",
        package="onnxruntime",
        versions=">=1.32,<1.33",
    ),
)

CHOICES: tuple[Choice, ...] = (
    Choice(
        backend="onnxruntime.opset9",
        clause="special.overflow_is_not_finite",
        note="squares that overflow make the variance infinite, and y beta.",
    ),
)
