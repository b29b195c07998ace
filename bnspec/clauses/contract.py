"""What any callable owes its caller: it ends, takes what it offers, returns what it should."""

from bnspec.clauses.clause import CONTRACT, Clause

CLAUSES = (
    Clause(
        "contract.completes",
        "MUST",
        "Every call ends: it returns or raises; it does not kill its process and does not hang.",
        "no crash, no timeout",
        "A crash in a worker is a result like any other, and the worst one.",
        CONTRACT,
        (),
        ("pytorch/pytorch#2264", "pytorch/pytorch#186238", "pytorch/pytorch#194798"),
    ),
    Clause(
        "contract.accepts",
        "MUST",
        "A case that the conventions offers is computed, not refused.",
        "no exception within the declared dtypes, ranks, axes and counts",
        "Coverage that is declared but missing must fail, not skip.",
        CONTRACT,
        ("dtypes", "ranks", "channel_axes", "affine_optional"),
        ("tensorflow/tensorflow#7164", "keras-team/keras#10648", "tinygrad/tinygrad#7042"),
    ),
    Clause(
        "contract.shapes",
        "MUST",
        "y and dx have the shape of x; dgamma, dbeta and the statistics have one value per channel.",
        "shape(y) = shape(dx) = shape(x);  shape(dgamma) = shape(dbeta) = shape(state) = (C,)",
        "A result of another shape broadcasts silently in the next operation.",
        CONTRACT,
    ),
)
