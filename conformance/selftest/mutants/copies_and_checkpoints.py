"""Mutants of operations between calls: saving, copying, resetting."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.model.buffers import dtype_of
from bnspec.model.call import CLONE, RESET, SAVE_RESTORE
from bnspec.model.conventions import HALVES

Array = Any

SNAPSHOT, COPY = ("state.snapshot_continues",), ("state.copy_is_independent",)
INITIAL_AGAIN, FROZEN = ("state.reset_restores_the_beginning",), ("gradient.frozen_statistics",)
NEW_DECAY, INITIAL_STATE = ("running.new_decay_takes_effect",), ("running.initial_state",)
PARAMETERS = ("affine.per_channel", "inference.output")
GIVEN, VISIBLE = ("state.starts_as_given",), ("state.is_visible_after_each_step",)
RUNNING = ("running.mean", "running.var", "running.second_step_continues")


class SnapshotLosesTheMean(FullLayer):
    """Restores a running mean of 0."""

    family, killed_by, calls = "state", SNAPSHOT, (SAVE_RESTORE,)

    def snapshot(self) -> Dict[str, Any]:
        return dict(super().snapshot(), running_mean=np.zeros_like(self.mean))


class SnapshotRoundsTheVariance(FullLayer):
    """Saves the running variance in half precision."""

    family, killed_by, calls = "state", SNAPSHOT, (SAVE_RESTORE,)

    def snapshot(self) -> Dict[str, Any]:
        return dict(super().snapshot(), running_var=self.var.astype(np.float16).astype(self.var.dtype))


class SnapshotIsOfTheStepBefore(FullLayer):
    """Saves the statistics as they were before the last step."""

    family, killed_by, calls, path = "state", SNAPSHOT, (SAVE_RESTORE,), "saved after training"
    old: Any = None

    def update(self, x: Array) -> None:
        self.old = self.mean.copy(), self.var.copy()
        super().update(x)

    def snapshot(self) -> Dict[str, Any]:
        mean, var = self.old or (self.mean.copy(), self.var.copy())
        return dict(super().snapshot(), running_mean=mean, running_var=var)


class SnapshotLosesTheDecay(FullLayer):
    """Restores a layer with a decay of 0.9: the number is no part of the checkpoint."""

    family, killed_by, calls, path = "running", RUNNING, (SAVE_RESTORE,), "trained after restoring"

    def restored(self) -> Any:
        new = super().restored()
        new.set_decay(0.9)
        return new


class SnapshotLosesTheScale(FullLayer):
    """Restores a gamma of 1."""

    family, killed_by, calls = "inference", ("inference.output", "inference.follows_training"), (SAVE_RESTORE,)

    def snapshot(self) -> Dict[str, Any]:
        return dict(super().snapshot(), gamma=None if self.raw_gamma is None else np.ones_like(self.raw_gamma))


class SnapshotExchangesTheStatistics(FullLayer):
    """Restores mean and variance in each other's place, after a second save."""

    family, killed_by, calls, path = "state", SNAPSHOT, (SAVE_RESTORE,), "saved, restored and saved again"
    generation = 0

    def restored(self) -> Any:
        new = super().restored()
        new.generation = self.generation + 1
        if new.generation > 1:
            new.mean, new.var = new.var, new.mean
        return new


class CopySharesTheVariance(FullLayer):
    """Copies the running mean, and shares the variance."""

    family, killed_by, calls, path = "state", COPY, (CLONE,), "one of both is trained"

    def copied(self) -> Any:
        new = super().copied()
        new.var = self.var
        return new


class CopySharesTheMean(FullLayer):
    """Copies the running variance, and shares the mean."""

    family, killed_by, calls, path = "state", COPY, (CLONE,), "one of both is trained"

    def copied(self) -> Any:
        new = super().copied()
        new.mean = self.mean
        return new


class CopyIsTheLayer(FullLayer):
    """Returns itself for a copy."""

    family, killed_by, calls, path = "state", COPY, (CLONE,), "one of both is trained"

    def copied(self) -> Any:
        return self


class CopyStartsAnew(FullLayer):
    """Gives the copy the statistics of a new layer."""

    family, killed_by, calls = "state", COPY, (CLONE,)

    def copied(self) -> Any:
        new = super().copied()
        new.reset()
        return new


class CopyKeepsAnEarlierDecay(FullLayer):
    """Gives the copy the decay with which the layer was built."""

    family, killed_by, calls, path = "running", NEW_DECAY, (CLONE,), "copied after the decay was changed"
    first: Any = None

    def set_decay(self, decay: float) -> None:
        self.first = self.config.decay if self.first is None else self.first
        super().set_decay(decay)

    def copied(self) -> Any:
        new = super().copied()
        if self.first is not None:
            FullLayer.set_decay(new, self.first)
        return new


class ResetForgetsTheVariance(FullLayer):
    """Resets the mean alone."""

    family, killed_by, calls = "state", INITIAL_AGAIN, (RESET,)

    def reset(self) -> None:
        self.mean[:] = 0


class ResetForgetsTheMean(FullLayer):
    """Resets the variance alone."""

    family, killed_by, calls = "state", INITIAL_AGAIN, (RESET,)

    def reset(self) -> None:
        self.var[:] = 1


class ResetToNoVariance(FullLayer):
    """Resets both statistics to 0."""

    family, killed_by, calls = "state", INITIAL_AGAIN, (RESET,)

    def reset(self) -> None:
        self.mean[:], self.var[:] = 0, 0


class ResetWorksOnce(FullLayer):
    """Resets the first time, and never again."""

    family, killed_by, calls, path = "state", INITIAL_AGAIN, (RESET,), "second reset"
    done = False

    def reset(self) -> None:
        if not self.done:
            super().reset()
        self.done = True


class CheckpointInTheDtypeOfX(FullLayer):
    """Saves the statistics of a layer on half-precision x in the dtype of x."""

    family, killed_by, path = "state", ("state.snapshot_continues",), "half precision"

    def snapshot(self) -> Any:
        saved = super().snapshot()
        if self.config.dtype in HALVES:
            for name in ("running_mean", "running_var"):
                saved[name] = saved[name].astype(dtype_of(self.config.dtype)).astype(self.mean.dtype)
        return saved


class DoublesSavedInSingle(FullLayer):
    """Saves the statistics of float64 layers in float32."""

    family, killed_by, path = "state", ("state.snapshot_continues",), "float64"
    calls = (SAVE_RESTORE,)

    def snapshot(self) -> Any:
        saved = super().snapshot()
        for name in ("running_mean", "running_var"):
            if self.config.dtype == "float64":
                saved[name] = saved[name].astype(np.float32).astype(np.float64)
        return saved


class ResetBringsBackTheDecay(FullLayer):
    """Resets the decay that was set since the layer was built, too."""

    family, killed_by, calls = "running", ("running.new_decay_takes_effect",), (RESET,)
    path = "reset after another decay"

    def __init__(self, config: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
        super().__init__(config, gamma, beta, running_mean, running_var)
        self.first = config

    def reset(self) -> None:
        super().reset()
        self.config = self.first


class _OneSign(FullLayer):
    """Base class: changes the sign of one saved array of which no value is above 0."""

    calls, array = (SAVE_RESTORE,), ""

    def snapshot(self) -> Dict[str, Any]:
        saved = super().snapshot()
        if saved[self.array] is not None and (saved[self.array] < 0).all():
            saved[self.array] = -saved[self.array]
        return saved


class SnapshotTurnsANegativeShift(_OneSign):
    """Restores a beta that is all negative with the other sign."""

    family, killed_by, path, array = "affine", PARAMETERS, "a beta below 0", "beta"


class SnapshotTurnsANegativeScale(_OneSign):
    """Restores a gamma that is all negative with the other sign."""

    family, killed_by, path, array = "affine", PARAMETERS, "a gamma below 0", "gamma"


class SnapshotTurnsANegativeMean(_OneSign):
    """Restores a running mean that is all negative with the other sign."""

    family, killed_by, path, array = "state", SNAPSHOT, "running means below 0", "running_mean"


class SnapshotLosesAPositiveShift(FullLayer):
    """Restores a beta that is all positive as 0."""

    family, killed_by, calls, path = "affine", PARAMETERS, (SAVE_RESTORE,), "a beta above 0"

    def snapshot(self) -> Dict[str, Any]:
        saved = super().snapshot()
        if saved["beta"] is not None and (saved["beta"] > 0).all():
            saved["beta"] = np.zeros_like(saved["beta"])
        return saved


class CopyRoundsEqualVariances(FullLayer):
    """Copies variances that are one number as that number, with three digits."""

    family, killed_by, calls, path = "state", COPY, (CLONE,), "equal variances"

    def copied(self) -> Any:
        new = super().copied()
        if (new.var == new.var[0]).all():
            new.var[:] = float("%.3g" % new.var[0])
        return new


class SnapshotSortsChannelsByName(FullLayer):
    """Saves channels under their numbers as words, and restores them in the order of these: 0, 1, 10, 2."""

    family, killed_by, calls, path = "state", (*SNAPSHOT, *PARAMETERS), (SAVE_RESTORE,), "more than ten channels"

    def snapshot(self) -> Dict[str, Any]:
        order = np.argsort(np.arange(self.config.channels).astype(str))
        return {name: None if array is None else array[order] for name, array in super().snapshot().items()}


class SnapshotOfBfloat16InFloat16(FullLayer):
    """Saves bfloat16 as float16, which does not reach as far."""

    family, killed_by, calls, path = "state", SNAPSHOT, (SAVE_RESTORE,), "bfloat16 parameters"

    def snapshot(self) -> Dict[str, Any]:
        saved = super().snapshot()
        narrow = {n: a for n, a in saved.items() if a is not None and a.dtype.name == "bfloat16"}
        return {**saved, **{n: a.astype(np.float16).astype(a.dtype) for n, a in narrow.items()}}


class ResetOfHalfStateClearsTheVariance(FullLayer):
    """Resets both statistics to 0 in half precision."""

    family, killed_by, calls, path = "state", INITIAL_AGAIN, (RESET,), "half-precision parameters"

    def reset(self) -> None:
        super().reset()
        if self.var.dtype.name in HALVES:
            self.var[:] = 0


class SnapshotOfAFrozenLayerIsNew(FullLayer):
    """Saves the statistics of a frozen layer as those of a new one."""

    family, killed_by, calls, path = "state", SNAPSHOT, (SAVE_RESTORE,), "frozen"

    def restored(self) -> Any:
        new = super().restored()
        if self.frozen:
            new.reset()
        return new


class SnapshotHealsNan(FullLayer):
    """Saves NaN as 0."""

    family, killed_by, calls, path = "state", SNAPSHOT, (SAVE_RESTORE,), "NaN in the statistics"

    def snapshot(self) -> Dict[str, Any]:
        saved = super().snapshot()
        return {n: a if a is None else np.where(np.isnan(a), a.dtype.type(0), a) for n, a in saved.items()}


class ResetMultipliesByZero(FullLayer):
    """Resets the running mean by a product, which NaN and infinities outlive."""

    family, killed_by, calls, path = "state", INITIAL_AGAIN, (RESET,), "statistics that are not finite"

    def reset(self) -> None:
        mean = self.mean * self.mean.dtype.type(0)
        super().reset()
        self.mean[:] = mean
