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
    "training.shift_invariant": "a relation between two calls, not a value",
    "training.scale_equivariant": "a relation between two calls, not a value",
    "training.order_of_elements": "a relation between two calls, not a value",
    "training.repeated_batch": "a relation between two calls, not a value",
    "training.ignores_decay": "a relation between two calls, not a value",
    "gradient.linear_in_the_cotangent": "a relation between two calls, not a value",
    "epsilon.only_the_sum_counts": "a relation between two calls, not a value",
    "layout.joined_axes": "a relation between two calls, not a value",
    "layout.channels_permute": "a relation between two calls, not a value",
    "layout.copies": "a relation between two calls, not a value",
    "layout.threads": "a relation between two calls, not a value",
    "input.merge_in_any_order": "a relation between two calls, not a value",
    "input.units_do_not_matter": "a relation between two calls, not a value",
    "training.output_moments": "a law of one result, which its own bound implies: the vectors hold y and dx themselves",
    "gradient.orthogonality": "a law of one result, which its own bound implies: the vectors hold y and dx themselves",
    "gradient.forward_mode": "a call that a file of forward and backward passes does not have",
    "gradient.each_argument_alone": "a call that a file of forward and backward passes does not have",
    "running.initial_state": "a law about a layer's life, not about one call",
    "running.unrolled": "a law about a layer's life, not about one call",
    "running.new_decay_takes_effect": "a law about a layer's life, not about one call",
    "gradient.frozen_statistics": "a law about a layer's life, not about one call",
    "special.overflow_is_not_finite": "a choice that is recorded, not a value that is owed",
    "special.poisoned_state": "a choice that is recorded, not a value that is owed",
    "special.negative_variance_is_shown": "a choice that is recorded, not a value that is owed",
    "input.constant_feature_keeps_its_unit": "a choice that is recorded, not a value that is owed",
    "dtype.parameters_are_not_narrowed": "asked by generated cases only",
    "special.cotangent_nan_is_not_hidden": "asked by generated cases only",
    "input.unseen_data": "asked by generated cases only",
    "input.nothing_to_fit": "asked by generated cases only",
    "second_order": "calls that a file of forward and backward passes does not have",
    "mask": "calls that a file of forward and backward passes does not have",
    "state": "laws about a layer's life, not about one call",
    "errors": "laws about calls that have no value",
    "placement": "laws about a network in training, not about one call",
    "purity": "a law about memory, not about a value",
    "contract": "a law about how calls end, not about a value",
}
