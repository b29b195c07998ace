"""The table of test-vector plans by family, with purpose and clauses.

Constructed as in Wycheproof: every vector exists because some implementation gets it wrong.
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

#: Clauses that checks cover and vectors cannot, each with the reason. A family name stands for all its clauses.
NOT_IN_A_FILE = {
    "training.repeatable": "a law about two calls, not about a value",
    "inference.repeatable": "a law about two calls, not about a value",
    "input.keeps_statistics": "a law about two calls, not about a value",
    "gradient.forward_agrees": "a law about two calls, not about a value",
    "inference.bits_are_independent_of_batch": "a law about the bits of two calls, not about a value",
    "inference.follows_training": "its expected value depends on the state after the implementation's own step",
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
    "gradient.of_its_own_forward_pass": "a law about a call between two others, not about a value",
    "gradient.none_through_the_running_update": "a call whose loss reads the statistics: in a file the update has no gradient",
    "input.transform_needs_a_fit": "it concerns a refusal, not a value",
    "dtype.integers_become_floating": "a framework may refuse integers: give it the pixels of other vectors as uint8",
    "input.missing_values_are_left_out": "a framework need not leave out missing values",
    "training.output_moments": "a law of one result, implied by its own bound: the vectors contain y and dx",
    "gradient.orthogonality": "a law of one result, implied by its own bound: the vectors contain y and dx",
    "gradient.forward_mode": "a call that is not in a file of forward and backward passes",
    "gradient.each_argument_alone": "a call that is not in a file of forward and backward passes",
    "running.initial_state": "it concerns a sequence of calls, not one call",
    "running.unrolled": "it concerns a sequence of calls, not one call",
    "running.new_decay_takes_effect": "it concerns a sequence of calls, not one call",
    "gradient.frozen_statistics": "it concerns a sequence of calls, not one call",
    "special.overflow_is_not_finite": "a recorded choice, not a required value",
    "special.poisoned_state": "a recorded choice, not a required value",
    "special.negative_variance_is_shown": "a recorded choice, not a required value",
    "input.constant_feature_keeps_its_unit": "a recorded choice, not a required value",
    "dtype.parameters_are_not_narrowed": "covered by generated cases only",
    "special.cotangent_nan_is_not_hidden": "covered by generated cases only",
    "special.inference_keeps_special_values": "covered by generated cases only",
    "special.nan_reaches_running_statistics": "covered by generated cases only",
    "special.parameters_are_not_hidden": "covered by generated cases only",
    "running.debias_from_zero_only": "covered by generated cases only",
    "input.unseen_data": "covered by generated cases only",
    "input.nothing_to_fit": "covered by generated cases only",
    "second_order": "calls that are not in a file of forward and backward passes",
    "accuracy": "covered by generated cases only: large counts",
    "mask": "calls that are not in a file of forward and backward passes",
    "state": "they concern sequences of calls, not one call",
    "errors": "laws about calls that have no value",
    "placement": "laws about a network in training, not about one call",
    "purity": "a law about memory, not about a value",
    "contract": "a law about how calls end and what they touch, not about a value",
}
