"""The calls on a layer as values: name, mode, kind of result and input arrays.

``CALLS`` maps names to calls; the constants below it name each call. On the wire and in saved cases a call is its name.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, Iterator, Literal, Optional, Tuple, get_args

from bnspec.errors import UsageError

Mode = Literal["training", "inference"]
Kind = Literal[
    # passes of a layer: forward, and with derivatives
    "forward",
    "gradients",
    "second_order",
    "tangent",
    "some_gradients",
    "late_gradients",
    "state_gradients",
    "third_order",
    "tangent_gradient",
    "masked",
    "masked_gradients",
    # calls on an input-normalization layer
    "fit",
    "transform",
    "inverse",
    # one step of gradient descent of a network that contains the layer
    "learn",
    # operations between calls: they return nothing
    "save_restore",
    "clone",
    "swap",
    "reset",
    "freeze",
    "unfreeze",
    "set_decay",
]
MODES: Tuple[Mode, ...] = get_args(Mode)
KINDS: Tuple[Kind, ...] = get_args(Kind)

#: The arrays that a call of each kind takes; a fit takes any number of arrays.
_INPUTS: Dict[Kind, Tuple[str, ...]] = {
    "forward": ("x",),
    "gradients": ("x", "dy"),
    "second_order": ("x", "dy", "v"),
    "tangent": ("x", "v"),
    "some_gradients": ("x", "dy"),
    "late_gradients": ("x", "dy", "other"),
    "state_gradients": ("x", "dy"),
    "third_order": ("x", "dy", "v"),
    "tangent_gradient": ("x", "dy", "v"),
    "masked": ("x", "mask"),
    "masked_gradients": ("x", "dy", "mask"),
    "fit": ("chunks",),
    "transform": ("x",),
    "inverse": ("y",),
    "learn": ("x", "labels"),
}
_IN_BOTH_MODES: Tuple[Kind, ...] = (
    "forward",
    "gradients",
    "second_order",
    "tangent",
    "some_gradients",
    "late_gradients",
)
_IN_TRAINING: Tuple[Kind, ...] = (
    "state_gradients",
    "third_order",
    "tangent_gradient",
    "masked",
    "masked_gradients",
)


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of the contract. Use the constants; there are no other calls.

    Attributes:
        name: the method's name, also used in saved cases; unique.
        mode: "training" or "inference" for a pass of a layer; None for other calls.
        kind: what the call computes.
        inputs: the usual names of its input arrays; a fit takes any number of arrays.
    """

    name: str
    mode: Optional[Mode]
    kind: Kind
    inputs: Tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def between(self) -> bool:
        """Whether it is an operation between calls, which takes no array and returns nothing."""
        return not self.inputs

    @property
    def has_gradients(self) -> bool:
        """Whether it returns ``Gradients``, all or some, with or without a mask."""
        return self.kind in ("gradients", "some_gradients", "late_gradients", "state_gradients", "masked_gradients")

    @property
    def has_mask(self) -> bool:
        """Whether its last array is a mask."""
        return self.kind in ("masked", "masked_gradients")

    @property
    def without_mask(self) -> Call:
        """The same call without a mask; a call without a mask returns itself."""
        if self.kind == "masked":
            return self.with_kind("forward")
        return self.with_kind("gradients") if self.kind == "masked_gradients" else self

    def in_mode(self, mode: Mode) -> Call:
        """The same kind of pass in this mode. Raises UsageError: it does not exist."""
        return call_of(mode, self.kind)

    def with_kind(self, kind: Kind) -> Call:
        """Another kind of pass in the same mode. Raises UsageError: it does not exist."""
        return call_of(self.mode, kind)


def _all_calls() -> Iterator[Call]:
    for kind in KINDS:
        inputs = _INPUTS.get(kind, ())
        ending = "" if kind == "forward" else "_" + kind
        if kind in _IN_BOTH_MODES or kind in _IN_TRAINING:
            for mode in MODES if kind in _IN_BOTH_MODES else MODES[:1]:
                yield Call(mode + ending, mode, kind, inputs)
        else:
            yield Call(kind, None, kind, inputs)


#: Every call by its name.
CALLS: Dict[str, Call] = {call.name: call for call in _all_calls()}
_BY_MODE_AND_KIND: Dict[Tuple[Optional[Mode], Kind], Call] = {(c.mode, c.kind): c for c in CALLS.values()}


def call_named(name: str) -> Call:
    """The call of this name. Raises UsageError: it does not exist."""
    if name not in CALLS:
        raise UsageError(
            "the case is malformed: call %r is unknown." % (name,),
            "the calls are %s." % ", ".join(CALLS),
            "fix the case.",
        )
    return CALLS[name]


def call_of(mode: Optional[Mode], kind: Kind) -> Call:
    """The call of this mode and kind. Raises UsageError: it does not exist."""
    call = _BY_MODE_AND_KIND.get((mode, kind))
    if call is None:
        raise UsageError(
            "there is no call of kind %s in mode %s." % (kind, mode),
            "masks are for training only, and what is no pass of a layer has no mode.",
            "ask for one of %s." % ", ".join(CALLS),
        )
    return call


TRAINING, INFERENCE = CALLS["training"], CALLS["inference"]
TRAINING_GRADIENTS, INFERENCE_GRADIENTS = CALLS["training_gradients"], CALLS["inference_gradients"]
TRAINING_SECOND_ORDER, INFERENCE_SECOND_ORDER = CALLS["training_second_order"], CALLS["inference_second_order"]
TRAINING_TANGENT, INFERENCE_TANGENT = CALLS["training_tangent"], CALLS["inference_tangent"]
TRAINING_SOME_GRADIENTS, INFERENCE_SOME_GRADIENTS = CALLS["training_some_gradients"], CALLS["inference_some_gradients"]
TRAINING_LATE_GRADIENTS, INFERENCE_LATE_GRADIENTS = CALLS["training_late_gradients"], CALLS["inference_late_gradients"]
TRAINING_STATE_GRADIENTS, TRAINING_THIRD_ORDER = CALLS["training_state_gradients"], CALLS["training_third_order"]
TRAINING_TANGENT_GRADIENT = CALLS["training_tangent_gradient"]
TRAINING_MASKED, TRAINING_MASKED_GRADIENTS = CALLS["training_masked"], CALLS["training_masked_gradients"]
FIT, TRANSFORM, INVERSE, LEARN = CALLS["fit"], CALLS["transform"], CALLS["inverse"], CALLS["learn"]
SAVE_RESTORE, CLONE, SWAP, RESET = CALLS["save_restore"], CALLS["clone"], CALLS["swap"], CALLS["reset"]
FREEZE, UNFREEZE, SET_DECAY = CALLS["freeze"], CALLS["unfreeze"], CALLS["set_decay"]
#: The operations between calls.
BETWEEN = tuple(call for call in CALLS.values() if call.between)
