"""What an adapter of one's own does not say of itself: in which modes it computes gradients."""

from __future__ import annotations

import itertools

from bnspec.backends.harness.launcher import Worker
from bnspec.conformance.conventions.laboratory import Lab, ended, layer_case, plain_axis, plain_config
from bnspec.conformance.conventions.moving_average import FIRST
from bnspec.model.call import Mode, call_of
from bnspec.model.case import Step
from bnspec.model.conventions import Conventions

VALUES = {"x": FIRST, "dy": FIRST}


def gradient_modes_of(worker: Worker, declared: Conventions) -> tuple[Mode, ...]:
    """The declared modes without those in which every form declines gradients, and some form has a forward pass.

    So an adapter that raises ``Declined`` in both methods, and declares nothing, is asked the forward pass of every case.
    """
    return tuple(mode for mode in declared.gradient_modes if not forward_only(worker, declared, mode))


def forward_only(worker: Worker, declared: Conventions, mode: Mode) -> bool:
    """Whether no form has gradients in this mode, and at least one has a forward pass."""
    lab, has_forward = Lab.of(worker, declared, None), False
    for dtype, rank in itertools.product(declared.dtypes, sorted({min(declared.ranks), max(declared.ranks)})):
        config = plain_config(declared, dtype=dtype, rank=rank, channel_axis=plain_axis(declared, rank))
        gradients = Step(call_of(mode, "gradients"), ("x", "dy"), fresh=True)
        if not ended(lab.observe(layer_case(config, [gradients], VALUES))).startswith("declined"):
            return False
        forward = lab.observe(layer_case(config, [Step(call_of(mode, "forward"), ("x",), fresh=True)], VALUES))
        has_forward |= bool(forward.steps) and not ended(forward)
    return has_forward
