"""Purity and aliasing: a call writes its results and the state, and nothing else."""

from bnspec.clauses.clause import CONTRACT, Clause

CLAUSES = (
    Clause(
        "purity.arguments",
        "MUST",
        "No call writes into its arguments or parameters.",
        "x, dy, gamma, beta before = after   bitwise",
        "In-place shortcuts corrupt what the caller still holds: residual branches read x again.",
        CONTRACT,
        (),
        ("microsoft/onnxruntime#29790", "tenstorrent/tt-metal#45578"),
    ),
    Clause(
        "purity.results_are_new",
        "MUST",
        "No result shares memory with the running statistics or with what the caller can write to.",
        "memory(y, dx, dgamma, dbeta) is disjoint from memory(x, dy, gamma, beta, state)",
        "A result that aliases the state changes when training goes on.",
        CONTRACT,
        ("mutable_tensors",),
        ("pytorch/pytorch#46808",),
    ),
    Clause(
        "purity.shared_arguments",
        "SHOULD",
        "y is computed from the arguments as they were, even where an argument shares its memory with a running statistic.",
        "memory(beta) = memory(running_mean)   =>   y as if they were apart",
        "Graph optimizers merge equal constants; a kernel that updates the statistics before it reads beta then computes with the new ones.",
        CONTRACT,
        (),
        ("microsoft/onnxruntime#29790", "tenstorrent/tt-metal#45578"),
    ),
    Clause(
        "purity.results_stay",
        "MUST",
        "A result stays as it is while the layer is called again.",
        "bits(y_1) after the second call = bits(y_1) before it",
        "Buffers that are reused between calls change what the caller still holds: activations that a backward pass needs, or a logged loss.",
        CONTRACT,
    ),
)
