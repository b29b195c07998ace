"""Clauses on sharded batches: synchronised statistics."""

from bnspec.clauses.clause import specified

CLAUSES = (
    specified(
        "sharded.equals_whole_batch",
        "MUST",
        "With synchronised statistics, y and the running statistics are those of the whole batch, however it is sharded.",
        "mean = sum_j m_j mean_j / m,   m var = sum_j (m_j var_j + m_j (mean_j - mean)^2),   m = sum_j m_j",
        "Weights that ignore the shard sizes, and variances that ignore the spread between shards, are exact for equal shards with equal means.",
        "Peng et al. 2018, MegDet, 3.2",
        (),
        ("google/flax#2417", "pytorch/pytorch#22192"),
    ),
    specified(
        "sharded.gradients",
        "MUST",
        "The means in dx are taken over all shards, weighted by their counts.",
        "dx = gamma * inv_std * (dy - sum(dy) / m - zhat * sum(dy * zhat) / m),   sums and m over all shards",
        "People check the forward pass by eye; an unweighted mean in the backward pass goes unnoticed.",
        "Peng et al. 2018, MegDet, 3.2",
        (),
        ("pytorch/pytorch#36688", "pytorch/pytorch#64039"),
    ),
    specified(
        "sharded.parameter_gradients_add_up",
        "MUST",
        "dgamma and dbeta of the whole batch are the sums over the shards.",
        "dgamma = sum_j dgamma_j,   dbeta = sum_j dbeta_j,   with zhat by the statistics of the whole batch",
        "Reducing them inside the layer and again with all other gradients counts them twice; taking a mean divides them by the number of shards.",
        "the chain rule",
    ),
    specified(
        "sharded.count_is_global",
        "MUST",
        "Degenerate counts and the correction depend on the count of the whole batch: a shard with one value is not a special case.",
        "m_j = 1, m > 1:   computed;   running variance corrected by m / (m - 1), not m_j / (m_j - 1)",
        "A per-shard check rejects a valid batch; a per-shard corrected variance of one value divides by 0.",
        "Peng et al. 2018, MegDet, 3.2",
        ("count_one", "running_correction"),
        ("pytorch/pytorch#36865", "NVIDIA/apex#262", "pytorch/pytorch#22192"),
    ),
    specified(
        "sharded.empty_shard",
        "SHOULD",
        "An empty shard takes part without changing the results.",
        "m_j = 0   =>   moments(shards) = moments(the others)",
        "The last batch of an epoch may not fill all devices; 0/0 on one of them poisons all.",
        "Peng et al. 2018, MegDet, 3.2",
        ("empty_batch",),
        ("google-deepmind/sonnet#125",),
    ),
)
