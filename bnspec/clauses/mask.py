"""Masks: batches of which only some elements count."""

from bnspec.clauses.clause import Clause, asked_too

CLAUSES = (
    asked_too(
        "mask.equals_compaction",
        "MUST",
        "Masked statistics, and y where the mask keeps, are those of the batch without its padding.",
        "results(x, mask)[kept] = results(x[kept])",
        "Padding that enters mean and variance shifts every short sequence; a mask that is accepted and ignored is worse than none.",
        "the definition on the elements that count",
        (),
        ("keras-team/keras#18759", "keras-team/keras#3228", "tensorflow/tensorflow#30161"),
    ),
    asked_too(
        "mask.padding_is_inert",
        "MUST",
        "What stands in the padding changes nothing.",
        "x' = x where kept   =>   results(x', mask)[kept] = results(x, mask)[kept]",
        "The value that pads is an accident of the data loader.",
        "the definition on the elements that count",
        (),
        ("keras-team/keras#3228", "speechbrain/speechbrain#2835"),
    ),
    asked_too(
        "mask.counts_elements",
        "MUST",
        "The count, in the mean and in the running variance's correction, is that of kept elements, after the mask was broadcast to x.",
        "m = sum(broadcast(mask, shape(x)))   over the reduced axes",
        "A mask over (batch, time) counts each step once, the reduction sums it over all further axes as well.",
        "the definition on the elements that count",
        ("running_correction",),
        ("keras-team/keras#19848", "google/flax#2417"),
    ),
    asked_too(
        "mask.gradients",
        "MUST",
        "For finite gamma and dy, dx is 0 on the padding and elsewhere that of the batch without it.",
        "dx[padding] = 0,   dx[kept] = dx(x[kept], dy[kept])",
        "The two means that dx subtracts have the mask's count too; forward passes get it right more often.",
        "the chain rule",
    ),
    Clause(
        "mask.padding_may_be_anything",
        "SHOULD",
        "Padding of x that is not a number changes nothing either, where gamma and dy are finite.",
        "x = NaN where masked   =>   results as with any other padding",
        "Padding is often memory that nobody wrote. A product with a mask of 0 lets a NaN through, a selection does not.",
        "the definition on the elements that count",
    ),
)
