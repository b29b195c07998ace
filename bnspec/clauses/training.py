"""Training statistics and normalisation: what a training forward pass returns."""

from bnspec.clauses.clause import CHAN, HIGHAM, IOFFE, Clause

CLAUSES = (
    Clause(
        "training.output",
        "MUST",
        "In training, y is x normalised by the mean and the population variance of x itself, scaled and shifted.",
        "y = gamma * (x - mean_B) / sqrt(var_B + epsilon) + beta,   var_B = (1/m) sum (x - mean_B)^2",
        "This is the layer. Judged by a bound that any textbook formula keeps, so only wrong semantics break it.",
        f"{IOFFE}, Algorithm 1",
        ("normalising_correction", "half_statistics", "half_arithmetic"),
        ("FluxML/Flux.jl#529", "apache/mxnet#820", "RubixML/ML#423", "tenstorrent/tt-metal#53204"),
    ),
    Clause(
        "training.output_is_stable",
        "SHOULD",
        "The error of y in training grows at most linearly with |mean| / std.",
        "|error| <= bound of two-pass, Welford, merged or sample-shifted variance, per element",
        "E[x^2] - E[x]^2 loses all digits once (mean/std)^2 reaches 1/u: in float32 from mean/std of about 4,000.",
        f"{CHAN}; {HIGHAM}, 1.9",
        ("half_statistics", "half_arithmetic"),
        ("google/flax#1491", "tensorflow/tensorflow#3290", "BVLC/caffe#3162", "pytorch/pytorch#40302"),
    ),
    Clause(
        "training.ignores_running_state",
        "MUST",
        "In training, y does not depend on the running statistics or on the decay.",
        "y(x; state) = y(x; state')",
        "Normalising by running or blended statistics trains another network; a reused kernel or a wrong flag does it.",
        f"{IOFFE}, section 3",
        (),
        ("pytorch/pytorch#19916", "NVIDIA/caffe#279", "microsoft/onnxruntime#29790"),
    ),
    Clause(
        "training.finite",
        "MUST",
        "Finite values of ordinary size give finite results in training.",
        "max |x|^2 m <= largest / 4  and  epsilon > 0   =>   y, dx, dgamma, dbeta, running statistics are finite",
        "A variance rounded below -epsilon turns a whole channel into NaN, and the running statistics for good.",
        f"{HIGHAM}, 1.9",
        (),
        ("google/flax#1491", "tensorflow/tensorflow#118701", "keras-team/keras#18795", "jax-ml/jax#30426"),
    ),
    Clause(
        "training.repeatable",
        "MUST",
        "The same training call on an equal layer gives the same bits.",
        "y_1 = y_2,  state_1 = state_2   bitwise",
        "Races in the reduction or in the state update show up here first. Threads and device are held fixed.",
        "the definition is a function",
        (),
        ("pytorch/pytorch#53691", "PaddlePaddle/Paddle#56100"),
    ),
)
