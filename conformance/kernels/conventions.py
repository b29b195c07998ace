"""The conventions that a kernel is judged by: inferred, as far as the definition leaves a choice.

What the definition fixes is not excused by being observed: a variance that normalises with m - 1, or an epsilon that is replaced,
stays a deviation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.kernels.kernel import Kernel
from bnspec.conformance.conventions.laboratory import DECAY_WEIGHS
from bnspec.conformance.conventions.plan import Inference, infer
from bnspec.model.conventions import Conventions

#: The fields in which implementations may differ without saying so.
CHOICES = (
    "running_correction",
    "decay_dtype",
    "epsilon_dtype",
    "first_batch",
    "count_one",
    "empty_batch",
    "half_statistics",
    "half_arithmetic",
    "output_dtype",
    "layouts",
    "affine_optional",
)


def inferred(worker: Worker) -> Inference:
    """What the experiments find on a worker that is ready."""
    declared = worker.hello.conventions
    assert declared is not None, "of a worker that is ready"
    return infer(worker, declared)


def other_direction(inference: Inference, kernel: Kernel) -> Kernel | None:
    """The kernel with its momentum read the other way round, where the experiment says so; None where it does not."""
    outcome = next(o for o in inference.outcomes if o.field == DECAY_WEIGHS)
    if outcome.value != "new":
        return None
    return dataclasses.replace(kernel, momentum_weighs="old" if kernel.momentum_weighs == "new" else "new")


def judged_by(inference: Inference, kernel: Kernel) -> Conventions:
    """The declared conventions with the inferred choices; a kernel without gradients is asked the forward pass of every case."""
    known: dict[str, Any] = {name: getattr(inference.known, name) for name in CHOICES}
    gradients = next(o for o in inference.outcomes if o.field == "gradient_modes")
    if gradients.is_inferred:
        known["gradient_modes"] = gradients.value
    return dataclasses.replace(inference.declared, **known, momentum_weighs=kernel.momentum_weighs)
