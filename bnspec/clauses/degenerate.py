"""Clauses on degenerate counts: one value, no value, one repeated value."""

from bnspec.clauses.clause import IOFFE, Clause, verified_on_both

CLAUSES = (
    Clause(
        "degenerate.count_one",
        "MUST",
        "Training with one value per channel does what the conventions declare, and leaves the statistics finite.",
        "m = 1:   raises, or y = beta and finite running statistics",
        "var * m / (m - 1) is 0/0: one such batch makes the running variance NaN permanently.",
        "the corrected variance of one value does not exist",
        ("count_one", "running_correction"),
        ("torch/nn#1271", "facebookresearch/SparseConvNet#190", "tensorflow/tensorflow#34062", "FluxML/Flux.jl#2716"),
    ),
    Clause(
        "degenerate.empty_batch",
        "SHOULD",
        "Training on an empty batch leaves the statistics finite, or raises.",
        "m = 0:   raises, or the running statistics stay finite",
        "The mean of no values is 0/0; an empty last shard then ruins the trained statistics.",
        "the statistics of no values do not exist",
        ("empty_batch",),
        ("pytorch/pytorch#12013", "google-deepmind/sonnet#125"),
    ),
    verified_on_both(
        "degenerate.constant_channel",
        "MUST",
        "A channel that is constant in the batch gives y = beta and finite gradients.",
        "var_B = 0, epsilon > 0   =>   y = beta,   dx = gamma / sqrt(epsilon) * (dy - mean(dy)),   dgamma = 0   within the bound",
        "Dead units and padding are constant. Epsilon exists for this case.",
        f"{IOFFE}, Algorithm 1",
        (),
        ("VeriSilicon/TIM-VX#589", "pytorch/pytorch#181696"),
    ),
    verified_on_both(
        "degenerate.gradients_of_count_one",
        "SHOULD",
        "Where a backend computes a batch with one value per channel, y is beta, and dx and dgamma are 0.",
        "m = 1:   y = beta,   dx = 0,   dgamma = 0,   dbeta = dy",
        "The value equals its mean. A backward pass that recomputes the normalised value with different rounding gives a large dgamma.",
        "limit of the definition",
        ("count_one", "normalising_correction"),
        ("pytorch/pytorch#188375",),
    ),
    verified_on_both(
        "degenerate.gradients_of_empty_batch",
        "SHOULD",
        "Where a backend computes an empty batch, y and dx are empty, and dgamma and dbeta are 0.",
        "m = 0:   dgamma = 0,   dbeta = 0",
        "An empty sum is 0: a shard without examples must neither stop the others nor make their parameters NaN.",
        "the sum of no terms",
        ("empty_batch",),
        ("pytorch/pytorch#8933", "pytorch/pytorch#12013"),
    ),
)
