"""Layout: memory, axes and extents change nothing."""

from bnspec.clauses.clause import IOFFE, Clause, specified

CLAUSES = (
    Clause(
        "layout.strides",
        "MUST",
        "Strides, offset and memory order of x and dy do not change the results.",
        "results(view) = definition of its values,   asked with views: sliced, permuted, reversed, expanded",
        "Kernels that read a view as if it were packed are right on every packed test.",
        "an array is its values",
        ("layouts",),
        ("pytorch/pytorch#134580", "pytorch/pytorch#175189", "pytorch/pytorch#64039", "PaddlePaddle/Paddle#37020"),
    ),
    Clause(
        "layout.axis",
        "MUST",
        "Every axis but the channel axis is reduced, whatever the rank and wherever the channel axis stands.",
        "asked with pairwise distinct extents, and with a channel axis that is not 1",
        "Reducing the wrong axes is invisible when extents are equal.",
        f"{IOFFE}, section 3.2",
        ("ranks", "channel_axes"),
        ("chainer/chainer#8497", "keras-team/keras#10648", "ooples/AiDotNet#1586", "keras-team/keras-core#212"),
    ),
    Clause(
        "layout.extents",
        "MUST",
        "Counts and channel numbers around block sizes are no special cases.",
        "asked where count or channels is 2^k - 1, 2^k or 2^k + 1 for 2^k >= 32",
        "The last partial block of a reduction is the classic place for a lost or doubled value.",
        "the definition knows no blocks",
        (),
        ("NVIDIA/apex#1768", "ROCm/MIOpen#2024", "torch/cunn#298"),
    ),
    specified(
        "layout.joined_axes",
        "MUST",
        "Joining or splitting the reduced axes changes nothing.",
        "results of x with shape (N, H, W, C) = results of x with shape (N H W, C), reshaped",
        "Different ranks take different kernels, with conventions of their own: one network then has two running variances.",
        f"{IOFFE}, section 3.2",
        ("ranks",),
        ("tensorflow/tensorflow#55545", "ooples/AiDotNet.Tensors#233", "ooples/AiDotNet#1586"),
    ),
    specified(
        "layout.channels_permute",
        "MUST",
        "Permuting the channels of every argument permutes the channels of every result, and changes no value.",
        "results(x P, dy P, gamma P, beta P, state P) = results(x, dy, gamma, beta, state) P",
        "Reversed, shifted or shared statistics pass any test whose channels look alike.",
        f"{IOFFE}, section 3: each feature independently",
        (),
        ("apache/mxnet#820",),
    ),
)
