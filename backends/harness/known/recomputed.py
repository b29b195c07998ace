"""What a layer that is run again in the backward pass, and steps again, shows in."""

from __future__ import annotations

#: The clauses that read the statistics after a backward pass in training mode.
TWICE = (
    "accuracy.errors_are_unbiased",
    "accuracy.keeps_a_digit",
    "dtype.half_is_as_exact_as_declared",
    "epsilon.not_in_running_variance",
    "gradient.frozen_statistics",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "running.mean",
    "running.moves_once_with_gradients",
    "running.new_decay_takes_effect",
    "running.second_step_continues",
    "running.statistics_are_stable",
    "running.unrolled",
    "running.var",
    "special.channels_are_isolated",
    "training.finite",
)
