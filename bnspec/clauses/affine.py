"""Scale and shift."""

from bnspec.clauses.clause import IOFFE, Clause

CLAUSES = (
    Clause(
        "affine.per_channel",
        "MUST",
        "Each channel is scaled and shifted by its own gamma and beta, whatever their sign.",
        "y_c = gamma_c * zhat_c + beta_c,   asked with distinct, negative and zero gamma",
        "Swapped, reversed, scalar or absolute parameters agree with the definition when all gammas are 1.",
        f"{IOFFE}, Algorithm 1",
        (),
        ("microsoft/CNTK#2376", "PaddlePaddle/Paddle#68170"),
    ),
    Clause(
        "affine.absent_is_identity",
        "MUST",
        "A layer without gamma and beta normalises only.",
        "y = zhat,   no dgamma, no dbeta",
        "Absent parameters are often null pointers, default tensors of another dtype, or silently the wrong constant.",
        f"{IOFFE}, section 3",
        ("affine_optional",),
        ("jax-ml/jax#2561", "intel/ipex-llm#2012", "pytorch/pytorch#61962"),
    ),
    Clause(
        "affine.zero_gamma_gives_beta",
        "MUST",
        "Where gamma is 0, y is beta, exactly, and dx is 0.",
        "gamma_c = 0   =>   y_c = beta_c,  dx_c = 0",
        "Zero-initialised gamma makes residual branches vanish at the start of training; they must vanish exactly.",
        "Goyal et al. 2017, Accurate, Large Minibatch SGD, 5.1",
        (),
        ("apache/mxnet#9624",),
    ),
)
