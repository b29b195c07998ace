"""Mutants of freezing, of a changed decay, of the initial state, and of reading the state."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.variants.copies_and_checkpoints import DebiasedAverage
from bnspec.contract import Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import (
    CLONE,
    FREEZE,
    SET_DECAY,
    TRAINING_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_SOME_GRADIENTS,
    TRAINING_TANGENT,
    UNFREEZE,
)

Array = Any

SNAPSHOT, COPY = ("state.snapshot_continues",), ("state.copy_is_independent",)
FROZEN = ("gradient.frozen_statistics",)
NEW_DECAY, INITIAL_STATE = ("running.new_decay_takes_effect",), ("running.initial_state",)
GIVEN, VISIBLE = ("state.starts_as_given",), ("state.is_visible_after_each_step",)
RUNNING = ("running.mean", "running.var", "running.second_step_continues")


class FrozenMoves(FullLayer):
    """Goes on moving the statistics while frozen."""

    family, killed_by, calls = "gradient", FROZEN, (FREEZE,)

    def frozen_training(self, x: Array) -> Array:
        y = super().frozen_training(x)
        if x.size:
            self.update(self.values(x))
        return y


class FrozenMovesWithGradients(FullLayer):
    """Goes on moving the statistics while frozen, when gradients are asked for."""

    family, killed_by, calls, path = "gradient", FROZEN, (FREEZE,), "with gradients"

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().frozen_gradients(x, dy)
        if x.size:
            self.update(self.values(x))
        return found


class FreezingResets(FullLayer):
    """Resets the running mean when it is frozen."""

    family, killed_by, calls = "gradient", FROZEN, (FREEZE,)

    def freeze(self, frozen: bool) -> None:
        super().freeze(frozen)
        if frozen:
            self.mean[:] = 0


class FrozenNormalisesByTheBatch(FullLayer):
    """Normalises by the batch while frozen, and moves nothing."""

    family, killed_by, calls = "gradient", FROZEN, (FREEZE,)

    def frozen_training(self, x: Array) -> Array:
        kept = self.mean.copy(), self.var.copy()
        y = self.forward(x)
        self.mean[:], self.var[:] = kept
        return y


class FrozenDxThroughTheBatch(FullLayer):
    """Differentiates through the batch's statistics while frozen."""

    family, killed_by, calls, path = "gradient", FROZEN, (FREEZE,), "dx"

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().frozen_gradients(x, dy)
        if not x.size:
            return found
        return found._replace(dx=self.backward(self.values(x), self.cotangent(dy))[0].astype(x.dtype))


class FrozenForever(FullLayer):
    """Stays frozen once it was."""

    family, killed_by, calls, path = "running", (*RUNNING, *FROZEN), (UNFREEZE,), "trainable again"

    def freeze(self, frozen: bool) -> None:
        self.frozen = self.frozen or frozen


class CopyThaws(FullLayer):
    """Gives a frozen layer a copy that is not."""

    family, killed_by, calls, path = "gradient", FROZEN, (CLONE,), "copied while frozen"

    def copied(self) -> Any:
        new = super().copied()
        new.frozen = False
        return new


class FrozenStopsUndeclared(FullLayer):
    """Declares that a frozen layer goes on normalising by the batch, and moves no statistics while frozen."""

    family, killed_by, calls = "gradient", FROZEN, (FREEZE,)
    declares = {"frozen_gradients": "batch"}

    def update(self, x: Array) -> None:
        if not self.frozen:
            super().update(x)


class FrozenWithoutGradientsAlone(FullLayer):
    """Takes constants while frozen in training without gradients, and the batch with them."""

    family, killed_by, calls, path = "gradient", FROZEN, (FREEZE,), "with gradients"

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        y = self.forward(x)
        if not x.size:
            return super().frozen_gradients(x, dy)
        return self.gradients(x, y, *self.backward(self.values(x), self.cotangent(dy)))


class DecayKept(FullLayer):
    """Ignores another decay."""

    family, killed_by, calls = "running", NEW_DECAY, (SET_DECAY,)

    def set_decay(self, decay: float) -> None:
        pass


class DecayReachesTheOriginal(FullLayer):
    """Changes the decay of the layer that it was copied from, too: both hold one configuration."""

    family, killed_by, calls, path = "running", NEW_DECAY, (CLONE,), "changed in a copy"
    original: Any = None

    def copied(self) -> Any:
        new = super().copied()
        new.original = self
        return new

    def set_decay(self, decay: float) -> None:
        super().set_decay(decay)
        if self.original is not None:
            FullLayer.set_decay(self.original, decay)


class AnotherDecayStartsAgain(FullLayer):
    """Resets the running statistics when the decay is changed."""

    family, killed_by, calls = "running", NEW_DECAY, (SET_DECAY,)

    def set_decay(self, decay: float) -> None:
        super().set_decay(decay)
        self.reset()


class DecayTakesEffectOneStepLate(FullLayer):
    """Takes one more step with the decay before."""

    family, killed_by, calls = "running", NEW_DECAY, (SET_DECAY,)
    waiting: Any = None

    def set_decay(self, decay: float) -> None:
        self.waiting = decay

    def update(self, x: Array) -> None:
        super().update(x)
        if self.waiting is not None:
            super().set_decay(self.waiting)
            self.waiting = None


class DecayChangedForTheMeanAlone(FullLayer):
    """Averages the variance with the decay that the layer was built with."""

    family, killed_by, calls = "running", NEW_DECAY, (SET_DECAY,)
    first: Any = None

    def set_decay(self, decay: float) -> None:
        self.first = self.config.decay if self.first is None else self.first
        super().set_decay(decay)

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        if self.first is None:
            return super().new_var(old, var, count)
        decay = self.work.type(self.first)
        return decay * old + (1 - decay) * self.corrected(var, count)


class DecaySetAsMomentum(FullLayer):
    """Takes another decay for the weight of the new value."""

    family, killed_by, calls = "running", NEW_DECAY, (SET_DECAY,)

    def set_decay(self, decay: float) -> None:
        super().set_decay(1 - decay)


class DecayZeroIsNoChange(FullLayer):
    """Takes a new decay of 0 for none."""

    family, killed_by, calls, path = "running", NEW_DECAY, (SET_DECAY,), "a new decay of 0"

    def set_decay(self, decay: float) -> None:
        super().set_decay(decay or self.config.decay)


class FifthStepMovesNothing(FullLayer):
    """Loses every fifth update."""

    family, killed_by, path = "running", ("running.unrolled",), "fifth step"

    def update(self, x: Array) -> None:
        if self.steps % 5:
            super().update(x)


class StepsAreWarmedUp(FullLayer):
    """Takes (t + 1) / (t + 10) for the decay of the first steps, where that is less."""

    family, killed_by, path = "running", ("running.unrolled",), "the first steps"

    def decay(self) -> Array:
        return self.work.type(min(self.config.decay, (1 + self.steps) / (10 + self.steps)))


class BeginsWithoutVariance(FullLayer):
    """Begins with a running variance of 0."""

    family, killed_by, path = "running", INITIAL_STATE, "a new layer"

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        new.var[:] = 0
        return new


class BeginsWithAMeanOfOne(FullLayer):
    """Begins with a running mean of 1."""

    family, killed_by, path = "running", INITIAL_STATE, "a new layer"

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        new.mean[:] = 1
        return new


class BeginsUnwritten(FullLayer):
    """Leaves the last running variance of a new layer as the memory was."""

    family, killed_by, path = "running", INITIAL_STATE, "a new layer"

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        new.var[-1:] = 3e-39
        return new


class BeginsWithANarrowScale(FullLayer):
    """Begins with a gamma of 1/10."""

    family, killed_by, path = "running", INITIAL_STATE, "a new layer"

    @classmethod
    def begun(cls, config: LayerConfig) -> Any:
        new = super().begun(config)
        if new.raw_gamma is not None:
            new.raw_gamma[:] = 0.1
        return new


class StartsFromNothing(FullLayer):
    """Starts from 0 and 1, whatever running statistics it is given."""

    family, killed_by = "state", GIVEN

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reset()


class StartsFromHalf(FullLayer):
    """Rounds the running mean that it is given to half precision."""

    family, killed_by = "state", GIVEN

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.mean[:] = self.mean.astype(np.float16)


class StartsWithAPositiveVariance(FullLayer):
    """Raises a running variance that it is given to 2^-10."""

    family, killed_by, path = "state", GIVEN, "a running variance below 2^-10"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.var[:] = np.maximum(self.var, self.var.dtype.type(2.0**-10))


class ReadingDecaysTheMean(FullLayer):
    """Moves the mean a little whenever the statistics are read."""

    family, killed_by = "state", VISIBLE

    def state(self) -> State:
        found = State(self.mean.copy(), self.var.copy())
        self.mean *= self.mean.dtype.type(0.875)
        return found


class UpdateWaitsForTheNextCall(FullLayer):
    """Moves the statistics at the beginning of the call after."""

    family, killed_by = "running", ("running.mean", "running.second_step_continues")
    waiting: Any = None

    def check(self, x: Array, *alike: Array) -> None:
        super().check(x, *alike)
        if self.waiting is not None:
            super().store(*self.waiting)
            self.waiting = None

    def store(self, mean: Array, var: Array) -> None:
        self.waiting = mean, var


class DebiasedFromOne(DebiasedAverage):
    """Begins with a variance of 1, and divides it by 1 - decay^steps as if it had begun with 0."""

    family, killed_by, path = "running", ("running.debias_from_zero_only",), "a layer's own initial values"

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        moved, d = super().new_var(old, var, count), self.config.decay
        if self.begun_steps is None or d in (0.0, 1.0):
            return moved
        t = self.begun_steps
        left = d ** (t + 1) / (1.0 - d ** (t + 1)) - (d**t / (1.0 - d**t) * float(self.decay()) if t else 0.0)
        return moved + self.work.type(left)


class FrozenSecondOrderThroughTheBatch(FullLayer):
    """Takes the second derivatives of a frozen layer by the statistics of the batch."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen, second derivatives"
    calls = (TRAINING_SECOND_ORDER,)

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        was, state = self.frozen, (self.mean.copy(), self.var.copy())
        self.frozen = False
        found = super().training_second_order(x, dy, v)
        self.frozen = was
        if was:
            self.mean[:], self.var[:] = state
        return found


class FrozenTangentMoves(FullLayer):
    """Moves the statistics of a frozen layer in forward mode."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen, forward mode"
    calls = (TRAINING_TANGENT,)

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        found = super().training_tangent(x, v)
        if self.frozen:
            self.update(self.values(x))
        return found


class FrozenScaleGradientOfTheBatch(FullLayer):
    """Takes dgamma of a frozen layer by the statistics of the batch."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen"
    calls = (TRAINING_GRADIENTS,)

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().frozen_gradients(x, dy)
        if found.dgamma is None or not x.size:
            return found
        return found._replace(dgamma=self.backward(self.values(x), self.cotangent(dy))[1].astype(self.mean.dtype))


class FrozenStatisticsMovedByPadding(FullLayer):
    """Moves the statistics of a frozen layer where there is a mask."""

    family, killed_by, path = "gradient", ("gradient.frozen_statistics",), "frozen, with a mask"
    calls = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)

    def training_masked(self, x: Array, mask: Array) -> Array:
        if self.frozen:
            self.freeze(False)
            super().training_masked(x, mask)
            self.freeze(True)
        return super().training_masked(x, mask)


class FreezeIsASwitch(FullLayer):
    """Is trainable again when it is frozen twice."""

    family, killed_by, calls, path = "gradient", FROZEN, (FREEZE,), "frozen twice"

    def freeze(self, frozen: bool) -> None:
        self.frozen = frozen and not self.frozen


class FrozenParameterGradientsMove(FullLayer):
    """Moves the statistics of a frozen layer where dx is not asked for."""

    family, killed_by, calls, path = "gradient", FROZEN, (TRAINING_SOME_GRADIENTS,), "frozen, no dx"

    def training_some_gradients(self, x: Array, dy: Array, wanted: Tuple[str, ...]) -> Gradients:
        found = super().training_some_gradients(x, dy, wanted)
        if self.frozen and "dx" not in wanted:
            self.update(self.values(x))
        return found


class FrozenLateStepMoves(FullLayer):
    """Moves the statistics of a frozen layer in a step between its forward and its backward pass."""

    family, killed_by, calls, path = "gradient", FROZEN, (TRAINING_LATE_GRADIENTS,), "frozen, a step in between"

    def training_late_gradients(self, x: Array, dy: Array, other: Array) -> Gradients:
        found = super().training_late_gradients(x, dy, other)
        if self.frozen:
            self.update(self.values(other))
        return found


class FrozenSecondOrderMoves(FullLayer):
    """Moves the running variance of a frozen layer where second derivatives are asked for."""

    family, killed_by, calls, path = "gradient", FROZEN, (TRAINING_SECOND_ORDER,), "frozen, second derivatives"

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        found = super().training_second_order(x, dy, v)
        if self.frozen:
            self.update(self.values(x))
        return found


class FrozenWithoutDecayMoves(FullLayer):
    """Replaces the statistics of a frozen layer that has no decay, when gradients are asked for."""

    family, killed_by, calls, path = "gradient", FROZEN, (FREEZE,), "frozen, decay 0, with gradients"

    def frozen_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().frozen_gradients(x, dy)
        if self.config.decay == 0 and x.size:
            self.update(self.values(x))
        return found


class CopyOfAFrozenLayerNeverFreezes(FullLayer):
    """A copy made of a frozen layer can be made trainable, and not be frozen again."""

    family, killed_by, calls, path = "gradient", FROZEN, (CLONE,), "a copy, frozen again"
    loose = False

    def copied(self) -> Any:
        new = super().copied()
        new.loose = self.frozen
        return new

    def freeze(self, frozen: bool) -> None:
        super().freeze(frozen and not self.loose)


class FreezingIsCounted(FullLayer):
    """Stays frozen until it is unfrozen as often as it was frozen."""

    family, killed_by, calls, path = "gradient", FROZEN, (FREEZE,), "frozen twice, unfrozen once"
    depth = 0

    def freeze(self, frozen: bool) -> None:
        self.depth = max(self.depth + (1 if frozen else -1), 0)
        self.frozen = self.depth > 0
