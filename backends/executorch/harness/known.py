"""Known deviations of ExecuTorch."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import square_overflows

KNOWN: tuple[Known, ...] = (
    Known(
        title="Squares overflow in float16",
        backends="executorch.batch",
        clauses=("input.constant_feature_is_finite",),
        where=square_overflows,
        conditions="float16, and a value whose square is beyond 65,504",
        kind="accuracy",
        reason="the portable kernel adds squares in x's type.",
        observed="BatchNorm1d(1, affine=False, track_running_stats=False) of float16 300, -300, 300, -300: 0 four times, exact 1 and -1; 10000 twelve times: nan, exact 0.",
        reported=False,
        package="executorch",
        versions=">=1.5,<1.6",
    ),
    Known(
        title="The variance without running statistics cancels",
        backends="executorch.batch",
        clauses=("input.transform", "input.constant_feature_is_finite", "dtype.half_is_as_exact_as_declared"),
        where=lambda case: case.subject == "input_norm",
        conditions="a feature whose mean is large beside its standard deviation, or constant",
        kind="accuracy",
        reason="the portable kernel computes E[x^2] - E[x]^2 in x's type.",
        observed=(
            "BatchNorm1d(1, affine=False, track_running_stats=False) of float32 1e4, 1e4 + 1, 1e4 + 2, 1e4 + 3: -474.3, -158.1, 158.1, "
            "474.3; exact, and by PyTorch, -1.34, -0.45, 0.45, 1.34. Of float64 0.1 twice: -4.7e-07, exact 0."
        ),
        reported=False,
        package="executorch",
        versions=">=1.5,<1.6",
    ),
)
