"""Clauses for every call: it terminates, accepts supported cases and returns results of the right shape."""

from bnspec.clauses.clause import CONTRACT, Clause

CLAUSES = (
    Clause(
        "contract.completes",
        "MUST",
        "Every call returns or raises; it neither kills its process nor hangs.",
        "no crash, no timeout",
        "A crash in a worker is a result like any other, and the worst kind.",
        CONTRACT,
        (),
        ("pytorch/pytorch#2264", "pytorch/pytorch#186238", "pytorch/pytorch#194798"),
    ),
    Clause(
        "contract.accepts",
        "MUST",
        "A backend computes every case that its conventions declare as supported, without raising.",
        "no exception within the declared dtypes, ranks, axes and counts",
        "Declared but missing coverage must fail, not be skipped.",
        CONTRACT,
        ("dtypes", "ranks", "channel_axes", "affine_optional"),
        ("tensorflow/tensorflow#7164", "keras-team/keras#10648", "tinygrad/tinygrad#7042"),
    ),
    Clause(
        "contract.shapes",
        "MUST",
        "y and dx have the shape of x; dgamma, dbeta and the statistics have one value per channel.",
        "shape(y) = shape(dx) = shape(x);  shape(dgamma) = shape(dbeta) = shape(state) = (C,)",
        "A result of the wrong shape broadcasts silently in the next operation.",
        CONTRACT,
    ),
    Clause(
        "contract.stays_in_its_buffers",
        "MUST",
        "A call reads and writes only inside the arrays that it is handed, and reads no result before it has written it.",
        "the bytes before and after x, dy, gamma, beta, the statistics and the results: unchanged, and without effect",
        "An element beyond an array belongs to somebody else: reading it is chance, writing it corrupts another layer silently.",
        CONTRACT,
        (),
        ("ROCm/rocm-libraries#11093", "pytorch/pytorch#190772", "ROCm/rocm-libraries#6765"),
        since="1.2",
    ),
)
