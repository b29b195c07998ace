"""Known deviations of ExecuTorch."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known

KNOWN: tuple[Known, ...] = (
    Known(
        title="The variance without running statistics cancels",
        backends="executorch.batch",
        clauses=("input.transform", "input.units_do_not_matter", "input.constant_feature_keeps_its_unit"),
        where=lambda case: case.subject == "input_norm",
        conditions="a feature whose mean is large beside its standard deviation, or constant",
        kind="accuracy",
        reason="the portable kernel computes E[x^2] - E[x]^2 in x's type.",
        observed=(
            "BatchNorm1d(1, affine=False, track_running_stats=False) of float32 1e4, 1e4 + 1, 1e4 + 2, 1e4 + 3: -474.3, -158.1, 158.1, "
            "474.3; exact, and by PyTorch, -1.34, -0.45, 0.45, 1.34."
        ),
        reported=False,
        package="executorch",
        versions=">=1.5,<1.6",
    ),
)
