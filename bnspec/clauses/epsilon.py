"""Clauses on epsilon: its place in the formula and its value."""

from bnspec.clauses.clause import IOFFE, Clause, verified_on_both

CLAUSES = (
    Clause(
        "epsilon.inside_root_in_training",
        "MUST",
        "In training, epsilon is added to the variance inside the square root.",
        "inv_std = 1 / sqrt(var_B + epsilon),   checked where epsilon >= var_B / 16",
        "sqrt(var) + epsilon, sqrt(max(var, epsilon)) and a missing epsilon all agree when epsilon is negligible.",
        f"{IOFFE}, Algorithm 1",
        ("epsilon_dtype", "epsilon_minimum"),
        ("vacancy/Synchronized-BatchNorm-PyTorch#43", "keras-team/keras#8726", "xlite-dev/LeetCUDA#309"),
    ),
    Clause(
        "epsilon.inside_root_in_inference",
        "MUST",
        "In inference, epsilon is added to the running variance inside the square root.",
        "inv_std = 1 / sqrt(running_var + epsilon),   checked where epsilon >= running_var / 16",
        "Inference kernels are separate code; several have dropped epsilon or added it twice.",
        f"{IOFFE}, Algorithm 2",
        ("epsilon_dtype", "epsilon_minimum"),
        ("chainer/chainer#2214", "chainer/chainer#4505"),
    ),
    Clause(
        "epsilon.as_given",
        "MUST",
        "The layer uses the epsilon it was given, however small.",
        "checked where epsilon <= 2^-16 and a variance is of the order of epsilon",
        "Clamping epsilon to a library's minimum, falling back to a default or losing the attribute changes trained networks.",
        f"{IOFFE}, Algorithm 1",
        ("epsilon_dtype", "epsilon_minimum"),
        ("tensorflow/tensorflow#37768", "tensorflow/tensorflow#8090", "chainer/chainer#1955", "VeriSilicon/TIM-VX#589"),
    ),
    Clause(
        "epsilon.not_in_running_variance",
        "MUST",
        "The running variance does not contain epsilon.",
        "running_var' = decay * running_var + (1 - decay) * var_B * m / (m - correction),   checked where epsilon >= var_B / 16",
        "A variance recovered from the saved inv_std contains epsilon, and inference then adds it a second time.",
        f"{IOFFE}, Algorithm 2",
        ("running_correction",),
        ("chainer/chainer#4505", "nntrainer/nntrainer#677", "flagos-ai/FlagGems#4885"),
    ),
    verified_on_both(
        "epsilon.only_the_sum_counts",
        "MUST",
        "Inference depends on the running variance and epsilon only through their sum.",
        "y(running_var - d, epsilon + d) = y(running_var, epsilon)",
        "A clamp, a default or a second epsilon shows up without any reference values.",
        f"{IOFFE}, Algorithm 2",
        ("epsilon_dtype", "epsilon_minimum"),
        ("tensorflow/tensorflow#59309", "chainer/chainer#2214"),
    ),
)
