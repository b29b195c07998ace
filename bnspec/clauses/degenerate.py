"""Degenerate counts: one value, no value, one value repeated."""

from bnspec.clauses.clause import IOFFE, Clause, asked_too

CLAUSES = (
    Clause(
        "degenerate.count_one",
        "MUST",
        "Training with one value per channel does what the conventions declares, and leaves finite statistics.",
        "m = 1:   raises, or y = beta and finite running statistics",
        "var * m / (m - 1) is 0/0: one such batch makes the running variance NaN for good.",
        "the corrected variance of one value does not exist",
        ("count_one", "running_correction"),
        ("torch/nn#1271", "facebookresearch/SparseConvNet#190", "tensorflow/tensorflow#34062", "FluxML/Flux.jl#2716"),
    ),
    Clause(
        "degenerate.empty_batch",
        "SHOULD",
        "Training on an empty batch leaves finite statistics, or raises.",
        "m = 0:   raises, or the running statistics stay finite",
        "The mean of nothing is 0/0; the last, empty shard of a dataset then ruins the trained statistics.",
        "the statistics of no values do not exist",
        ("empty_batch",),
        ("pytorch/pytorch#12013", "google-deepmind/sonnet#125"),
    ),
    asked_too(
        "degenerate.constant_channel",
        "MUST",
        "A channel that is constant in the batch gives y = beta, and finite gradients.",
        "var_B = 0, epsilon > 0   =>   y = beta,   dx = gamma / sqrt(epsilon) * (dy - mean(dy)),   dgamma = 0   within the bound",
        "Dead units and padding are constant. It is the case that epsilon is there for.",
        f"{IOFFE}, Algorithm 1",
        (),
        ("VeriSilicon/TIM-VX#589", "pytorch/pytorch#181696"),
    ),
    asked_too(
        "degenerate.gradients_of_count_one",
        "SHOULD",
        "Where a batch with one value per channel is computed, y is beta, and dx and dgamma are 0.",
        "m = 1:   y = beta,   dx = 0,   dgamma = 0,   dbeta = dy",
        "The value is its own mean. A normalised value recomputed with other rounding than in the forward pass gives a large dgamma.",
        "limit of the definition",
        ("count_one",),
        ("pytorch/pytorch#188375",),
    ),
    asked_too(
        "degenerate.gradients_of_empty_batch",
        "SHOULD",
        "Where an empty batch is computed, y and dx are empty, and dgamma and dbeta are 0.",
        "m = 0:   dgamma = 0,   dbeta = 0",
        "An empty sum is 0: a shard without examples must not stop the others, nor make their parameters NaN.",
        "the sum of no terms",
        ("empty_batch",),
        ("pytorch/pytorch#8933", "pytorch/pytorch#12013"),
    ),
)
