"""Sharded batches: synchronised statistics."""

from bnspec.clauses.clause import specified

CLAUSES = (
    specified(
        "sharded.equals_whole_batch",
        "MUST",
        "With synchronised statistics, y and the running statistics are those of the whole batch, however it is cut into shards.",
        "mean = sum_j m_j mean_j / m,   m var = sum_j (m_j var_j + m_j (mean_j - mean)^2),   m = sum_j m_j",
        "Weights that forget the shards' sizes, and variances that forget the spread between shards, are exact for equal shards with equal means.",
        "Peng et al. 2018, MegDet, 3.2",
        (),
        ("google/flax#2417", "pytorch/pytorch#22192"),
    ),
    specified(
        "sharded.gradients",
        "MUST",
        "The means in dx are taken over all shards, by their counts.",
        "dx = gamma * inv_std * (dy - sum(dy) / m - zhat * sum(dy * zhat) / m),   sums and m over all shards",
        "The forward pass is checked by eye; an unweighted mean in the backward pass is not.",
        "Peng et al. 2018, MegDet, 3.2",
        (),
        ("pytorch/pytorch#36688", "pytorch/pytorch#64039"),
    ),
    specified(
        "sharded.parameter_gradients_add_up",
        "MUST",
        "dgamma and dbeta of the whole batch are the sums of the shards' own.",
        "dgamma = sum_j dgamma_j,   dbeta = sum_j dbeta_j,   with zhat by the statistics of the whole batch",
        "Reducing them inside the layer, and once more with all other gradients, counts them twice; a mean divides them.",
        "the chain rule",
    ),
    specified(
        "sharded.count_is_global",
        "MUST",
        "Degenerate counts and the correction are judged by the whole batch: a shard with one value is no special case.",
        "m_j = 1, m > 1:   computed;   running variance corrected by m / (m - 1), not m_j / (m_j - 1)",
        "A local check refuses a valid batch; a local variance of one value divides by 0.",
        "Peng et al. 2018, MegDet, 3.2",
        ("count_one", "running_correction"),
        ("pytorch/pytorch#36865", "NVIDIA/apex#262", "pytorch/pytorch#22192"),
    ),
    specified(
        "sharded.empty_shard",
        "SHOULD",
        "A shard without elements takes part and changes nothing.",
        "m_j = 0   =>   moments(shards) = moments(the others)",
        "The last batch of an epoch does not fill all devices; 0/0 on one of them poisons all.",
        "Peng et al. 2018, MegDet, 3.2",
        ("empty_batch",),
        ("google-deepmind/sonnet#125",),
    ),
)
