"""What a kernel is asked: the clauses about one layer's passes, without those about what is built around a layer."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from bnspec.clauses import Clause, select_asked
from bnspec.conformance.judge.judge import checks_for
from bnspec.conformance.run.cover import cover
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.layer import LayerConfig

#: Families of what a kernel is not: networks, other layers, layers over several devices; and derivatives beyond the gradients.
NOT_OF_KERNELS = ("mask", "second_order", "input", "placement", "layernorm", "sharded", "errors")
#: Clauses about operations on a layer object, which a function has not.
OF_OBJECTS = (
    "running.new_decay_takes_effect",
    "running.initial_state",
    "state.snapshot_continues",
    "state.copy_is_independent",
    "state.reset_restores_the_beginning",
    "gradient.frozen_statistics",
    "gradient.each_argument_alone",
    "gradient.forward_mode",
    "layout.threads",
)
#: Elements of the largest array of a small case, and how often small ones ask each clause before the others do.
SMALL, TIMES = 512, 10


def clauses_for(patterns: Sequence[str]) -> list[Clause]:
    """The clauses that a kernel is asked, of those that the patterns name. Raises UsageError: none is left."""
    asked = [c for c in select_asked(patterns) if c.family not in NOT_OF_KERNELS and c.id not in OF_OBJECTS]
    if not asked:
        raise UsageError(
            f"a kernel is not asked {', '.join(patterns)}.",
            "they speak of networks, of other layers, or of what is done with a layer between its calls.",
            "choose others; a layer with an adapter is asked all: bnspec verify.",
        )
    return asked


def cases_for(cases: Iterable[Case]) -> Iterator[Case]:
    """The cases of batch-normalization layers with an epsilon: without one, many kernels rightly refuse."""
    return (case for case in cases if case.subject == "batch_norm" and case.config.epsilon > 0.0)


def in_order(
    cases: Sequence[Case], around_blocks: Sequence[Case], clauses: Sequence[Clause], conventions: Conventions
) -> list[Case]:
    """All of them in an order in which those that are left out for lack of time are missed least.

    First small cases that ask every clause once; then extents around blocks in turn with small cases that ask every clause ten times, since each
    new extent may have to be compiled; then the others, small ones first.
    """
    checks = checks_for({clause.id for clause in clauses})
    small = [c for c in cases if is_offered(c.config, conventions) and elements(c) <= SMALL]
    others = sorted(cases, key=elements)
    first = cover(small, checks, 1)
    known = {c.id for c in first}
    more = [c for c in cover(small, checks, TIMES) if c.id not in known]
    in_turn = [c for pair in itertools.zip_longest(around_blocks, more) for c in pair if c is not None]
    return list({c.id: c for c in (*first, *in_turn, *others)}.values())


def elements(case: Case) -> int:
    """Those of its largest array."""
    return max((a.size for a in case.arrays.values()), default=0)


def is_offered(config: LayerConfig, conventions: Conventions) -> bool:
    """Whether the conventions offer a layer of this configuration."""
    c = config
    return not conventions.declines(c.dtype, c.parameter_dtype, c.rank, c.channel_axis, c.affine)
