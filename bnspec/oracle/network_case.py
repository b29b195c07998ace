"""The exact steps of a network case: ``network.step`` from the observed input values of a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from bnspec.model.case import Case, network_values
from bnspec.model.conventions import Conventions
from bnspec.model.precision import units_of
from bnspec.oracle.network import Descent, Tracked, patches, step
from bnspec.oracle.oracle import effective_epsilon

Values = Mapping[str, np.ndarray]


def values_of(case: Case, i: int = -1) -> tuple[str, ...]:
    """The names of the values of step i's network."""
    return network_values(case.steps[case.built_at(i % len(case.steps))].option("network"))


def usable(case: Case, values: Values, i: int = -1) -> bool:
    """Whether step i can start from these values: all present, finite and of the case's shapes."""
    names = values_of(case, i)
    return all(
        n in values and values[n].shape == case.arrays[n].shape and np.isfinite(values[n].astype("f8")).all()
        for n in names
    )


def exact_step(case: Case, i: int, conventions: Conventions, values: Values) -> dict[str, Tracked]:
    """Exact step i of a network case from usable values: the values after it and the loss before it, with bounds."""
    config, first, names = case.config, case.steps[case.built_at(i)], values_of(case, i)
    x, labels = (case.arrays[n] for n in case.steps[i].inputs)
    rows = x if str(first.option("network")).startswith("dense") else patches(x)
    wide = {n: values[n].astype(np.float64) for n in names}
    wide["w1"] = wide["w1"].reshape(rows.shape[1], config.channels)
    descent = Descent(
        dataclasses.replace(config, rank=2, channel_axis=1, epsilon=effective_epsilon(config.epsilon, conventions)),
        units_of(conventions, config.dtype, config.parameter_dtype, "lenient"),
        float(np.float32(first.option("learning_rate"))),
        conventions.running_correction,
        len(rows) // len(labels),
        conventions.normalising_correction,
    )
    with np.errstate(all="ignore"):
        found = step(wide, rows.astype(np.float64), labels, descent)
    return {n: Tracked(*(v.reshape(case.arrays[n].shape) for v in t)) if n in names else t for n, t in found.items()}
