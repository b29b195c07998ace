"""Mutants of the steps of the running averages: lost, repeated, or visible at the wrong time."""

from __future__ import annotations

from typing import Any

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients, State

Array = Any

MEAN, VAR, BOTH = ("running.mean",), ("running.var",), ("running.mean", "running.var")


class FirstBatchOverwrites(PlainLayer):
    """Takes the first batch's statistics as they are."""

    family, killed_by, path = "running", BOTH, "first step"

    def averaged(self, old: Array, new: Array) -> Array:
        return new if self.steps == 1 else super().averaged(old, new)


class MeanAloneMoves(PlainLayer):
    """Updates the running mean and forgets the variance."""

    family, killed_by = "running", VAR

    def store(self, mean: Array, var: Array) -> None:
        self.mean[:] = mean.reshape(-1)


class VarianceAloneMoves(PlainLayer):
    """Updates the running variance and forgets the mean."""

    family, killed_by = "running", MEAN

    def store(self, mean: Array, var: Array) -> None:
        self.var[:] = var.reshape(-1)


class StatisticsSwapped(PlainLayer):
    """Writes the new mean where the variance is kept, and the reverse."""

    family, killed_by = "running", BOTH

    def store(self, mean: Array, var: Array) -> None:
        super().store(var, mean)


class StepAppliedTwice(PlainLayer):
    """Applies the update twice in each step."""

    family, killed_by = "running", BOTH

    def update(self, x: Array) -> None:
        super().update(x)
        super().update(x)


class StepWithoutGradientsLost(PlainLayer):
    """Updates the statistics only where gradients are recorded."""

    family, killed_by, path = "running", BOTH, "training without gradients"

    def training(self, x: Array) -> Array:
        kept = self.mean.copy(), self.var.copy()
        y = super().training(x)
        self.mean[:], self.var[:] = kept
        return y


class StepWithGradientsLost(PlainLayer):
    """Updates the statistics only where no gradients are recorded."""

    family, killed_by, path = "running", ("running.moves_once_with_gradients",), "training with gradients"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        kept = self.mean.copy(), self.var.copy()
        result = super().training_gradients(x, dy)
        self.mean[:], self.var[:] = kept
        return result


class StepTakenInBackwardToo(PlainLayer):
    """Moves the statistics once more when the backward pass recomputes the forward pass."""

    family, killed_by, path = "running", ("running.moves_once_with_gradients",), "training with gradients"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().training_gradients(x, dy)
        if x.size:
            self.update(self.values(x))
        return result


class SecondStepLost(PlainLayer):
    """Skips the second step."""

    family, killed_by, path = "running", ("running.second_step_continues",), "second step"

    def update(self, x: Array) -> None:
        if self.steps != 2:
            super().update(x)


class ThirdStepLost(PlainLayer):
    """Skips the third step."""

    family, killed_by, path = "running", ("running.second_step_continues",), "third step"

    def update(self, x: Array) -> None:
        if self.steps != 3:
            super().update(x)


class StepAfterInferenceLost(PlainLayer):
    """Skips the update of the first training step after an inference."""

    family, killed_by, path = "running", BOTH, "after an inference"

    def update(self, x: Array) -> None:
        if self.inferences:
            self.inferences = 0
        else:
            super().update(x)


class ConstantBatchSkipped(PlainLayer):
    """Skips the update where some channel of the batch is constant."""

    family, killed_by, path = "running", BOTH, "a constant channel"

    def update(self, x: Array) -> None:
        if (self.moments(x)[1] > 0).all():
            super().update(x)


class StepShownLate(PlainLayer):
    """Shows the statistics as they were before the last step."""

    family, killed_by = "running", BOTH
    shown: Any = None

    def store(self, mean: Array, var: Array) -> None:
        self.shown = self.mean.copy(), self.var.copy()
        super().store(mean, var)

    def state(self) -> State:
        return super().state() if self.shown is None else State(*self.shown)


class StepOnCopies(PlainLayer):
    """Moves copies of the statistics: inference uses them, but reading the state returns the old ones."""

    family, killed_by = "running", BOTH
    given: Any = None

    def store(self, mean: Array, var: Array) -> None:
        if self.given is None:
            self.given = State(self.mean, self.var)
            self.mean, self.var = self.mean.copy(), self.var.copy()
        super().store(mean, var)

    def state(self) -> State:
        return super().state() if self.given is None else self.given


class ReadingMovesState(PlainLayer):
    """Takes the step whenever the state is read."""

    family, killed_by = "running", ("running.second_step_continues", *BOTH)
    waiting: Any = None

    def update(self, x: Array) -> None:
        self.waiting = x

    def state(self) -> State:
        if self.waiting is not None:
            super().update(self.waiting)
        return super().state()
