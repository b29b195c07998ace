"""The algorithms of the experiments: correct implementations, combined from the pieces and named by what sets them apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from bnspec.conformance.selftest.soundness import moments as mo
from bnspec.conformance.selftest.soundness import passes as pa
from bnspec.conformance.selftest.soundness import reductions as re
from bnspec.model.conventions import HALVES
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import TIERS

Array = Any
Fit = Callable[[Sequence[Array], mo.Moments, re.Sum], mo.Pair]


def _merged(chunks: Sequence[Array], moments: mo.Moments, total: re.Sum) -> mo.Pair:
    return mo.fit_merged(chunks, moments, total, mo.merge)


def _merged_weighted(chunks: Sequence[Array], moments: mo.Moments, total: re.Sum) -> mo.Pair:
    return mo.fit_merged(chunks, moments, total, mo.merge_weighted)


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """One correct implementation.

    Attributes:
        name: what sets it apart.
        tier: the sharpest tier that must admit it. "good" is judged by all three, "lenient" by that alone.
        total, moments, root, forward, backward, inference, update, fit: its pieces.
        not_in: working precisions in which it is not stable, or does not exist.
        half: in which precision float16 and bfloat16 are computed: "float32", or their "own" (lenient only).
    """

    name: str
    tier: Tier = "permissive"
    total: re.Sum = re.sequential
    moments: mo.Moments = mo.two_pass
    root: pa.Root = pa.root
    forward: pa.Forward = pa.direct
    backward: pa.Backward = pa.textbook
    inference: pa.Backward = pa.constant_statistics
    update: pa.Update = pa.weighted
    fit: Fit = _merged
    not_in: tuple[str, ...] = ()
    half: Literal["float32", "own"] = "float32"

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that must admit it."""
        return TIERS[: TIERS.index(self.tier) + 1]

    def applies_to(self, dtype: str) -> bool:
        """Whether it can be judged on x of this dtype."""
        return dtype not in self.not_in and (self.half == "float32" or dtype in HALVES)

    def work(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The precision in which it computes."""
        if dtype.name in HALVES and self.half == "own":
            return dtype
        return np.dtype("float64" if dtype == np.float64 else "float32")


ALGORITHMS = (
    Algorithm("two-pass, one by one"),
    Algorithm("two-pass, last to first", total=re.backwards),
    Algorithm("two-pass, ascending magnitudes", total=re.ascending, forward=pa.scale_first),
    Algorithm("two-pass, eight lanes", total=re.lanes, moments=mo.by_reciprocal),
    Algorithm("two-pass, blocks in a chain", total=re.blocks_chained, backward=pa.summed),
    Algorithm("two-pass, shares of threads", total=re.threads, backward=pa.affine_in_x),
    Algorithm("two-pass, reciprocal of the count", moments=mo.by_reciprocal, update=pa.by_difference),
    Algorithm("two-pass, compensation term", moments=mo.corrected),
    Algorithm("Welford", moments=mo.welford, fit=_merged_weighted),
    Algorithm("Welford, table of reciprocals", moments=mo.welford_by_table, root=pa.newton),
    Algorithm("Chan, four parts", moments=mo.four_parts, backward=pa.summed),
    Algorithm("Chan, four parts, lanes", total=re.lanes, moments=mo.four_parts, fit=_merged_weighted),
    Algorithm("one-pass shifted by a sample", moments=mo.shifted),
    Algorithm("one-pass shifted, pairwise", total=re.pairwise, moments=mo.shifted, forward=pa.scale_first),
    Algorithm("folded", forward=pa.folded, inference=pa.constant_statistics_folded),
    Algorithm("folded, a and b apart", forward=pa.folded_apart, backward=pa.affine_in_x, update=pa.by_difference),
    Algorithm("differentiated graph", backward=pa.differentiated, moments=mo.welford),
    Algorithm(
        "differentiated folded graph",
        forward=pa.half_folded,
        backward=pa.differentiated_fold,
        inference=pa.constant_statistics_folded,
    ),
    Algorithm("rsqrt with a Newton step", root=pa.newton, forward=pa.scale_first, update=pa.by_difference),
    Algorithm("rsqrt off by two units", root=pa.off_by_two, backward=pa.differentiated),
    Algorithm("pairwise", "good", re.pairwise),
    Algorithm("pairwise, summed gradient", "good", re.pairwise, mo.by_reciprocal, backward=pa.summed),
    Algorithm("balanced tree", "good", re.tree, backward=pa.affine_in_x),
    Algorithm("blocks of 32 in a tree", "good", re.blocks_in_tree, update=pa.by_difference),
    Algorithm("Chan, balanced tree", "good", re.tree, mo.merged_tree),
    Algorithm("Chan, tree over leaves of 8", "good", re.blocks_in_tree, mo.merged_leaves, pa.newton, pa.scale_first),
    Algorithm("Kahan", "good", re.kahan),
    Algorithm("Neumaier", "good", re.neumaier, backward=pa.summed),
    Algorithm("wider accumulators", "good", re.wide, mo.in_wider, fit=_merged_weighted),
    Algorithm("wider accumulators, one pass", "good", re.wide, mo.one_pass_in_wider, forward=pa.folded, not_in=("float64",)),
    Algorithm("fused multiply-adds", "good", re.pairwise, forward=pa.fused),
    Algorithm("pairwise, folded", "good", re.pairwise, forward=pa.folded, inference=pa.constant_statistics_folded),
    Algorithm("pairwise, half folded", "good", re.pairwise, forward=pa.half_folded, backward=pa.differentiated),
    Algorithm("pairwise, folded graph", "good", re.pairwise, forward=pa.folded_apart, backward=pa.differentiated_fold),
    Algorithm("one-pass", "lenient", moments=mo.one_pass),
    Algorithm("one-pass, not clipped", "lenient", re.pairwise, mo.one_pass_unclipped, forward=pa.folded),
    Algorithm("one-pass, differentiated", "lenient", re.lanes, mo.one_pass, backward=pa.differentiated_fold),
    Algorithm("wholly in half", "lenient", half="own"),
    Algorithm("wholly in half, one-pass", "lenient", re.lanes, mo.one_pass, backward=pa.summed, half="own"),
    Algorithm("wholly in half, folded", "lenient", re.tree, mo.welford, forward=pa.folded, backward=pa.differentiated, half="own"),
)  # fmt: skip
