"""Known deviations of ``keras.layers.Normalization``."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    constant_in_chunks,
    has_empty_chunk,
    is_half,
    scales_half,
    tiny_spread,
    transforms_unfitted,
)

NORMALIZATION: tuple[Known, ...] = (
    Known(
        title="An empty chunk makes statistics NaN",
        backends="keras*, !keras.ops*, !keras*remat, !keras.synchronized, !keras.openvino",
        clauses=("input.empty_chunk_changes_nothing", "input.constant_feature_is_finite"),
        where=has_empty_chunk,
        conditions="a batch of the training set has no rows",
        kind="bug",
        reason="Normalization.adapt divides by the batch's count of 0: NaN statistics, or ZeroDivisionError for the first batch.",
        observed="Batches of 3 and 0 rows: adapt learns the mean NaN; of 0 and 3 rows: ZeroDivisionError.",
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="adapt refuses a dataset of its own dtype",
        backends="keras",
        clauses=("contract.accepts",),
        where=lambda case: case.subject == "input_norm" and case.config.dtype != "float32",
        conditions="a training set that is not float32, given as a dataset, with a layer of its dtype",
        kind="bug",
        reason="Normalization.adapt adds its float32 accumulators to moments of another dtype and raises InvalidArgumentError.",
        observed=(
            'Batches of 3 and 2 rows in float64: adapt raises InvalidArgumentError, "AddV2 ... expected to be a '
            'float tensor but is a double tensor" (in float16: "a half tensor").'
        ),
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="A constant feature becomes noise",
        backends="keras.[tj]*, !keras*remat, !keras*adapt, !keras*clone",
        clauses=("input.constant_feature_is_finite",),
        where=constant_in_chunks,
        conditions="a constant feature of a training set that comes in several batches",
        kind="accuracy",
        reason="the merged variance of a constant is 0 or rounding noise, the merged mean is off: the feature becomes noise of size 1.",
        observed="The suite's case: the feature becomes -1.549.",
        link="https://github.com/keras-team/keras/pull/18795",
        reported=False,
        search="The link is the fix of keras.ops.moments on other backends.",
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="Normalization divides by at least 1e-7",
        backends="keras*, !keras.ops*, !keras*remat, !keras.synchronized",
        clauses=("input.transform", "input.inverse", "input.unseen_data", "input.constant_feature_is_finite"),
        where=tiny_spread,
        conditions="a feature whose standard deviation is below 1e-6",
        kind="bug",
        reason="Normalization divides by max(sqrt(var), 1e-7), where its documentation says sqrt(var).",
        observed=(
            "Variance 9.035e-21: 2e-3 becomes 9,999.999; (x - mean) / sqrt(var), as documented, is 1.05e7. In float16 a feature that "
            "was 8,192 all over makes an infinity of 0."
        ),
        link="https://github.com/keras-team/keras/issues/20011",
        reported=True,
        search="The report is of the same guard, at a variance of 0.",
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="adapt rounds the moments of a batch",
        backends="keras.[tjn]*, keras.adapt*, keras.openvino, !keras*remat",
        clauses=("input.fit_is_stable",),
        where=lambda case: case.subject == "input_norm" and is_half(case),
        conditions="a training set in half precision",
        kind="accuracy",
        reason="Normalization.adapt computes the moments of a batch in its half precision, before it keeps them in float32.",
        observed=(
            "float16 [10, 11, 11]: adapt learns the mean 10.6640625, exact 10.6667, although it keeps float32. Of one float16 array or "
            "tensor 60000, 50000, 40000 it learns the variance inf, exact 6.667e7, even in a float32 layer, which gives 0 from then on."
        ),
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="Normalization computes in half precision",
        backends="keras.jax, keras*adapt*",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=scales_half,
        conditions="transform or inverse of half-precision x, with float32 statistics",
        kind="accuracy",
        reason=(
            "Normalization casts its statistics to the dtype of computation: in float16 a variance beyond 65,504 is infinite, and "
            "(x - mean) / std is rounded at each step. BatchNormalization widens x first."
        ),
        observed='variance [4e5, 9e5], mean [3, 4], dtype "mixed_float16": 1000 and 2000 become 0 and 0, exact 1.576 and 2.104.',
        reported=False,
        link="https://github.com/keras-team/keras/issues/22586",
        search="The report is of the same in GroupNormalization, where it was fixed.",
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="A Normalization that was never adapted passes x through",
        backends="keras*, !keras.ops*, !keras*remat, !keras.synchronized",
        clauses=("input.transform_needs_a_fit",),
        where=transforms_unfitted,
        conditions="a transform before any adapt, without mean and variance",
        kind="bug",
        reason="a new layer has the mean 0 and the variance 1, and its call does not ask whether it was adapted; so has one from get_config.",
        observed="Normalization(axis=1) of [[1, 2], [3, 6]]: [[1, 2], [3, 6]], on each of the four backends.",
        link="https://github.com/keras-team/keras/issues/16296",
        reported=True,
        package="keras",
        versions=">=3.15,<3.16",
    ),
)
