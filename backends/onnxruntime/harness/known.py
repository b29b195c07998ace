"""Known deviations of ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import constant_feature, rows_of_large_means, trains_on_nothing

KNOWN: tuple[Known, ...] = (
    Known(
        title="An empty batch makes statistics NaN",
        backends="onnxruntime.opset1*",
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
        backends="onnxruntime.opset1*",
        clauses=("accuracy.keeps_a_digit",),
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
        where=constant_feature,
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
