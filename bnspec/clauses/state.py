"""State: snapshots, shared layers, and what is to be seen between calls."""

from bnspec.clauses.clause import CONTRACT, IOFFE, specified

CLAUSES = (
    specified(
        "state.snapshot_continues",
        "MUST",
        "A layer rebuilt from a snapshot goes on as the layer would have gone on itself.",
        "rebuild(snapshot_t), step t+1   =   step t+1   bitwise",
        "Statistics saved in another order, rounded to another dtype or left out are noticed only when the restored model is worse.",
        CONTRACT,
        (),
        ("keras-team/keras#15348",),
    ),
    specified(
        "state.snapshot_is_complete",
        "MUST",
        "A snapshot holds all that later results depend on: with a cumulative or debiased average also the number of steps.",
        "state = (running_mean, running_var)  and, where averages use it,  t",
        "A counter that restarts at 0 lets the first batch after a restart replace everything that was learned before.",
        "PyTorch, nn.BatchNorm1d: num_batches_tracked",
        (),
        ("Oneflow-Inc/oneflow#7440", "tensorflow/tensorflow#6270"),
    ),
    specified(
        "state.is_visible_after_each_step",
        "MUST",
        "Reading the statistics has no effect, and shows every step taken before.",
        "state() after k steps = k updates;   state() = state()",
        "Updates that are rebound to new arrays, deferred, or made in the backward pass only leave the reader with an old state.",
        CONTRACT,
        (),
        ("apache/singa#554", "ml-explore/mlx#1960", "apache/mxnet#14357"),
    ),
    specified(
        "state.shared_layer_steps_in_turn",
        "MUST",
        "A layer used k times in one pass takes k steps, each from where the one before ended.",
        "decay^k * running + ...   and not   (1 - k * (1 - decay)) * running + ...",
        "Updates computed from the same old value and added up give the old value a negative weight, and the variance with it.",
        f"{IOFFE}, Algorithm 2",
        (),
        ("tensorflow/tensorflow#14353",),
    ),
    specified(
        "state.stored_scale_is_the_one_used",
        "MUST",
        "The gamma and beta that a snapshot shows are those that y was computed with.",
        "y = definition(x; snapshot)",
        "A layer that computes with gamma = 1 while its stored gamma drifts exports another network than it trained.",
        CONTRACT,
        ("affine_optional",),
        ("apache/mxnet#9624", "PaddlePaddle/Paddle#68170"),
    ),
)
