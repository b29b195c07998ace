"""Clauses on layer normalization, the alternative for small batches."""

from bnspec.clauses.clause import specified

BA = "Ba, Kiros and Hinton 2016, Layer Normalization, section 3"

CLAUSES = (
    specified(
        "layernorm.output",
        "MUST",
        "Layer normalization normalises each sample by the mean and the population variance of its own features.",
        "y_n = gamma * (x_n - mean_n) / sqrt(var_n + epsilon) + beta,   mean_n, var_n over the features of sample n",
        "The error from a divisor of features - 1, or from a misplaced epsilon, is small for wide layers and large for narrow ones.",
        BA,
        (),
        ("FluxML/Flux.jl#529", "xlite-dev/LeetCUDA#309", "VeriSilicon/TIM-VX#589"),
    ),
    specified(
        "layernorm.samples_are_independent",
        "MUST",
        "A sample's result does not depend on the batch size, the other samples, the mode or earlier steps.",
        "y(x)[n] = y(x[n:n+1]),   no state",
        "This is why layer normalization suits batches of one, recurrent networks and token-by-token generation.",
        BA,
    ),
    specified(
        "layernorm.shift_invariant",
        "MUST",
        "Adding a constant to all features of a sample changes nothing except the rounding of x + c.",
        "y(x_n + c) = y(x_n)",
        "Residual streams drift to large means: a variance computed with cancellation becomes 0 or NaN.",
        BA,
        (),
        ("pytorch/pytorch#51102", "pytorch/pytorch#40302", "patrick-kidger/equinox#314"),
    ),
    specified(
        "layernorm.dx",
        "MUST",
        "dx has gamma inside the means that it subtracts.",
        "dx = inv_std * (g - mean(g) - zhat * mean(g * zhat)),   g = gamma * dy",
        "Unlike in batch normalization, gamma varies along the reduced axis: code carried over from there pulls gamma out of the means.",
        BA,
        (),
        ("tenstorrent/tt-metal#53204", "flagos-ai/FlagGems#5392"),
    ),
    specified(
        "layernorm.parameter_gradients",
        "MUST",
        "dgamma and dbeta are sums over the samples, one value per feature.",
        "dgamma = sum_n(dy_n * zhat_n),   dbeta = sum_n(dy_n)",
        "This reduction runs across the forward pass's reduction; both gradients have the same shape, so swapping them is silent.",
        BA,
        (),
        ("Oneflow-Inc/oneflow#6149", "microsoft/CNTK#2376"),
    ),
    specified(
        "layernorm.one_feature",
        "MUST",
        "With one feature, y is beta, and dx and dgamma are 0.",
        "features = 1:   y = beta,   dx = 0,   dgamma = 0",
        "x * inv_std - mean * inv_std does not cancel as x - mean does: at 10^6 its rounding errors exceed 1.",
        BA,
        (),
        ("pytorch/pytorch#188375",),
    ),
)
