"""What a kernel is asked: the clauses about one layer's passes, without those about what is built around a layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bnspec.clauses import Clause, select_asked
from bnspec.model.case import Case

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


def clauses_for(tracks: bool) -> list[Clause]:
    """The clauses that a kernel is asked. ``tracks``: whether it has running statistics."""
    left_out = NOT_OF_KERNELS if tracks else (*NOT_OF_KERNELS, "running", "state")
    return [c for c in select_asked(()) if c.family not in left_out and c.id not in OF_OBJECTS]


def cases_for(cases: Iterable[Case]) -> Iterator[Case]:
    """The cases of batch-normalization layers with an epsilon: without one, many kernels rightly refuse."""
    return (case for case in cases if case.subject == "batch_norm" and case.config.epsilon > 0.0)
