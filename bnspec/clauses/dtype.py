"""Clauses on dtypes and mixed precision."""

from bnspec.clauses.clause import IOFFE, Clause, verified_on_both

CLAUSES = (
    Clause(
        "dtype.half_is_as_exact_as_declared",
        "SHOULD",
        "With half-precision x, results are as accurate as the declared wider arithmetic allows.",
        "|error| <= bound with u of the declared statistics and arithmetic, and one rounding to each result's dtype",
        "Sums and squares in float16 overflow at 65,504 and stop growing at 2,048 terms.",
        f"{IOFFE}; Micikevicius et al. 2018, Mixed Precision Training, 3.3",
        ("half_statistics", "half_arithmetic", "half_parameters"),
        ("pytorch/pytorch#156513", "pytorch/pytorch#126525", "chainer/chainer#6484"),
    ),
    Clause(
        "dtype.results",
        "SHOULD",
        "y and dx have the declared dtype; parameter gradients and running statistics keep the dtypes of the parameters and the state.",
        "dtype(y) = dtype(dx) = dtype(x) (or the promotion, where declared);  dtype(state') = dtype(state)",
        "Silent promotion doubles memory downstream; silent demotion loses the statistics.",
        "array API standard, type promotion",
        ("output_dtype",),
        ("tensorflow/tensorflow#44983", "tinygrad/tinygrad#7042"),
    ),
    verified_on_both(
        "dtype.parameters_are_not_narrowed",
        "SHOULD",
        "Parameters and statistics wider than x are used at full width, not first rounded to the dtype of x.",
        "x in float16, running_var = 10^5 in float32:   y = gamma * (x - mean) / sqrt(10^5 + epsilon) + beta, and not beta",
        "In float16, 10^5 is infinite and an epsilon of 10^-9 is 0.",
        "Micikevicius et al. 2018, Mixed Precision Training, 3.3",
        ("half_parameters", "half_arithmetic"),
        ("pytorch/pytorch#61962", "chainer/chainer#6484", "onnx/onnx#3415", "tensorflow/tensorflow#7164"),
    ),
    verified_on_both(
        "dtype.integers_become_floating",
        "SHOULD",
        "Where integer x is accepted, it is normalised in floating point and the result is not cast back.",
        "x in uint8:   y(x) = y(float(x)),   dtype(y) floating",
        "Pixels are integers. Casting back saturates everything below the mean at 0, and squares of 16 and more do not fit into uint8.",
        "array API standard, type promotion",
        ("integers",),
        ("tensorflow/tensorflow#44983", "keras-team/keras#15778"),
    ),
)
