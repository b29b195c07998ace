"""Clauses on scale and shift: gamma and beta."""

from bnspec.clauses.clause import IOFFE, Clause

CLAUSES = (
    Clause(
        "affine.per_channel",
        "MUST",
        "Each channel is scaled by its own gamma and shifted by its own beta, whatever their signs.",
        "y_c = gamma_c * zhat_c + beta_c,   checked with distinct gamma or beta, with gamma 1, negative and 0, and with beta 0",
        "Swapped, reversed, broadcast or absolute-valued parameters all agree with the definition when every gamma is 1.",
        f"{IOFFE}, Algorithm 1",
        (),
        ("microsoft/CNTK#2376", "PaddlePaddle/Paddle#68170"),
    ),
    Clause(
        "affine.absent_is_identity",
        "MUST",
        "A layer without gamma and beta only normalises.",
        "y = zhat,   no dgamma, no dbeta",
        "Absent parameters often turn out to be null pointers, default tensors of another dtype, or the wrong constant.",
        f"{IOFFE}, section 3",
        ("affine_optional",),
        ("jax-ml/jax#2561", "intel/ipex-llm#2012", "pytorch/pytorch#61962"),
    ),
    Clause(
        "affine.zero_gamma_gives_beta",
        "MUST",
        "Where gamma is 0, y is exactly beta and dx is 0.",
        "gamma_c = 0   =>   y_c = beta_c,  dx_c = 0",
        "Zero-initialised gamma switches residual branches off at the start of training; they must be off exactly.",
        "Goyal et al. 2017, Accurate, Large Minibatch SGD, 5.1",
        (),
        ("apache/mxnet#9624",),
    ),
)
