"""The test vectors by family, as plans: which hard cases there are, what each is for, and which clauses it asks.

Constructed, as Wycheproof does: a vector is there because some implementation gets it wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bnspec.conformance.vectors import edges, forward, state
from bnspec.conformance.vectors.plan import VectorPlan

#: The families, in the order of the specification.
FAMILIES: Mapping[str, Callable[[], Iterator[VectorPlan]]] = {
    "training": forward.training,
    "epsilon": forward.epsilon,
    "affine": forward.affine,
    "running": state.running,
    "inference": state.inference,
    "gradient": state.gradient,
    "layout": edges.layout,
    "extents": edges.extents,
    "dtype": edges.dtype,
    "degenerate": edges.degenerate,
    "special": edges.special,
    "input": edges.input_normalization,
}

#: Clauses that backends are asked and that no vector can ask, each with the reason. A family stands for all its clauses.
NOT_IN_A_FILE = {
    "training.repeatable": "a law about two calls, not about a value",
    "inference.repeatable": "a law about two calls, not about a value",
    "input.keeps_statistics": "a law about two calls, not about a value",
    "gradient.forward_agrees": "a law about two calls, not about a value",
    "inference.bits_are_independent_of_batch": "a law about the bits of two calls, not about a value",
    "inference.follows_training": "its expected value depends on the state that the implementation's own step left",
    "layout.strides": "a file holds values, not memory: repeat the family layout with views",
    "purity": "a law about memory, not about a value",
    "contract": "a law about how calls end, not about a value",
}
