"""Clauses on purity and aliasing: a call writes only its results and the state."""

from bnspec.clauses.clause import CONTRACT, Clause

CLAUSES = (
    Clause(
        "purity.arguments",
        "MUST",
        "No call writes into its arguments or parameters.",
        "x, dy, gamma, beta before = after   bitwise",
        "In-place shortcuts corrupt arrays that the caller still uses: residual branches read x again.",
        CONTRACT,
        (),
        ("microsoft/onnxruntime#29790", "tenstorrent/tt-metal#45578"),
    ),
    Clause(
        "purity.results_are_new",
        "MUST",
        "No result shares memory with the running statistics or with arrays that the caller can write to.",
        "memory(y, dx, dgamma, dbeta) is disjoint from memory(x, dy, gamma, beta, state)",
        "A result that aliases the state changes when training continues.",
        CONTRACT,
        ("mutable_tensors",),
        ("pytorch/pytorch#46808",),
    ),
    Clause(
        "purity.shared_arguments",
        "SHOULD",
        "y is computed from the argument values at the time of the call, even where an argument shares memory with a running statistic.",
        "memory(beta) = memory(running_mean)   =>   y as if they were apart",
        "Graph optimizers merge equal constants; a kernel that updates the statistics before reading beta then computes with the new values.",
        CONTRACT,
        (),
        ("microsoft/onnxruntime#29790", "tenstorrent/tt-metal#45578"),
    ),
    Clause(
        "purity.results_stay",
        "MUST",
        "A result does not change when the layer is called again.",
        "bits(y_1) after the second call = bits(y_1) before it",
        "Buffers reused between calls overwrite results that the caller still holds: activations that a backward pass needs, or a logged loss.",
        CONTRACT,
    ),
)
