"""Clauses on masks: batches with padding."""

from bnspec.clauses.clause import Clause, verified_on_both

CLAUSES = (
    verified_on_both(
        "mask.equals_compaction",
        "MUST",
        "The masked statistics, and y at the kept elements, equal those of the batch without its padding.",
        "results(x, mask)[kept] = results(x[kept])",
        "Padding that enters the mean and variance shifts every short sequence; a mask that is accepted but ignored is worse than none.",
        "the definition on the elements that count",
        (),
        ("keras-team/keras#18759", "keras-team/keras#3228", "tensorflow/tensorflow#30161"),
    ),
    verified_on_both(
        "mask.padding_is_inert",
        "MUST",
        "The values in the padding do not affect the results.",
        "x' = x where kept   =>   results(x', mask)[kept] = results(x, mask)[kept]",
        "The padding value is an accident of the data loader.",
        "the definition on the elements that count",
        (),
        ("keras-team/keras#3228", "speechbrain/speechbrain#2835"),
    ),
    verified_on_both(
        "mask.counts_elements",
        "MUST",
        "The mean and the running variance's correction count the kept elements after broadcasting the mask to x.",
        "m = sum(broadcast(mask, shape(x)))   over the reduced axes",
        "A mask over (batch, time) counts each step once, but the reduction also sums over all remaining axes.",
        "the definition on the elements that count",
        ("running_correction",),
        ("keras-team/keras#19848", "google/flax#2417"),
    ),
    verified_on_both(
        "mask.gradients",
        "MUST",
        "For finite gamma and dy, dx is 0 on the padding and elsewhere equals the dx of the batch without padding.",
        "dx[padding] = 0,   dx[kept] = dx(x[kept], dy[kept])",
        "The two means that dx subtracts also use the mask's count; forward passes get this right more often.",
        "the chain rule",
    ),
    Clause(
        "mask.padding_may_be_anything",
        "SHOULD",
        "Where gamma and dy are finite, NaN or an infinity in the padding of x does not change the results.",
        "x = NaN or ±inf where masked   =>   results as with any other padding",
        "Padding is often uninitialised memory. Multiplying by a mask of 0 lets NaN through; selecting does not.",
        "the definition on the elements that count",
    ),
)
