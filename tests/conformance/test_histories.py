"""Layer histories: drawn as cases, judged, and shrunk to the shortest by hypothesis."""

from __future__ import annotations

import collections
import copy
import dataclasses
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis.stateful import run_state_machine_as_test
from in_process import adapter_of, broken, judged, observed

from bnspec.clauses import ASKED
from bnspec.conformance.cases.histories import draw_histories, machine
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.model.call import BETWEEN
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions

CONVENTIONS = Conventions(
    checks_arguments=True,
    running_correction=1,
    momentum_weighs="none",
    frozen_gradients="constants",
    empty_batch="keeps_state",
    dtypes=PlainAdapter.conventions.dtypes,
    half_parameters=PlainAdapter.conventions.half_parameters,
)


class StatefulLayer(PlainLayer):
    """A layer that supports saving, copying, resetting, freezing and a new decay."""

    frozen = False

    def restored(self) -> Any:
        """A new layer over copies."""
        parameters = (None if p is None else p.copy() for p in (self.raw_gamma, self.raw_beta))
        new = type(self)(self.config, *parameters, self.mean.copy(), self.var.copy())
        new.frozen = self.frozen
        return new

    def copied(self) -> Any:
        """The same."""
        return self.restored()

    def reset(self) -> None:
        """0 and 1."""
        self.mean[:], self.var[:] = 0, 1

    def freeze(self, frozen: bool) -> None:
        """Inference from now on, in training too."""
        self.frozen = frozen

    def set_decay(self, decay: float) -> None:
        """Another decay."""
        self.config = copy.copy(self.config)
        object.__setattr__(self.config, "decay", decay)

    def training(self, x: Any) -> Any:
        """Inference while frozen."""
        return self.inference(x) if self.frozen else super().training(x)

    def training_gradients(self, x: Any, dy: Any) -> Any:
        """Inference while frozen."""
        return self.inference_gradients(x, dy) if self.frozen else super().training_gradients(x, dy)


class CopySharesState(StatefulLayer):
    """Copies share the running statistics."""

    def copied(self) -> Any:
        """A copy over the same arrays."""
        return type(self)(self.config, self.raw_gamma, self.raw_beta, self.mean, self.var)


class SnapshotRounds(StatefulLayer):
    """Saves the running variance in half precision."""

    def restored(self) -> Any:
        """With a variance that was rounded."""
        new = super().restored()
        new.var[:] = new.var.astype(np.float16)
        return new


class ResetForgetsVariance(StatefulLayer):
    """Resets the mean alone."""

    def reset(self) -> None:
        """0, and the variance as it was."""
        self.mean[:] = 0


class FrozenMoves(StatefulLayer):
    """Goes on moving the statistics while frozen."""

    def training(self, x: Any) -> Any:
        """Inference, but with an update."""
        y = super().training(x)
        if self.frozen and x.size:
            self.update(self.values(x))
        return y


class DecayKept(StatefulLayer):
    """Ignores another decay."""

    def set_decay(self, decay: float) -> None:
        """Nothing."""


class FailureMoves(StatefulLayer):
    """Moves the mean before it checks x."""

    def training(self, x: Any) -> Any:
        """A mean that moves first."""
        if x.shape[self.config.channel_axis] != self.config.channels:
            self.mean += 1
        return super().training(x)


def test_the_same_seed_gives_the_same_histories() -> None:
    """And another seed others."""
    ids = [[c.id for c in draw_histories(10, seed)] for seed in (3, 3, 4)]
    assert ids[0] == ids[1] != ids[2]


def test_every_event_happens_in_a_few_histories() -> None:
    """Also a copy that changes places, a malformed call and an empty batch."""
    histories = draw_histories(60, 1)
    events = collections.Counter(s.call for c in histories for s in c.steps)
    assert set(BETWEEN) <= set(events)
    assert any(s.refused for c in histories for s in c.steps)
    assert any("none" in c.arrays for c in histories)


def test_a_layer_that_does_not_check_is_not_called_wrongly() -> None:
    """Malformed calls are declined in its name, and no clause of errors is judged."""
    unchecked = dataclasses.replace(CONVENTIONS, checks_arguments=False)
    adapter = adapter_of(FailureMoves, conventions=unchecked)
    wrong = next(c for c in draw_histories(60, 1) if any(s.refused for s in c.steps))
    ends = {s.refused: r.status for s, r in zip(wrong.steps, observed(wrong, adapter).steps, strict=True)}
    assert ends[True] == "declined"
    assert judged(wrong, adapter, ["errors.malformed_data"]) == {"errors.malformed_data": None}


def test_a_correct_layer_passes_every_history() -> None:
    """Nothing of the suite's is broken."""
    adapter = adapter_of(StatefulLayer, conventions=CONVENTIONS)
    for history in draw_histories(40, 2):
        assert not broken(history, adapter, ASKED), [s.call for s in history.steps]


@pytest.mark.parametrize(
    ("wrong", "clause", "calls"),
    [
        (CopySharesState, "state.copy_is_independent", 4),
        (SnapshotRounds, "state.snapshot_continues", 3),
        (ResetForgetsVariance, "state.reset_restores_the_beginning", 2),
        (FrozenMoves, "gradient.frozen_statistics", 3),
        (DecayKept, "running.new_decay_takes_effect", 3),
        (FailureMoves, "errors.leave_the_state", 2),
    ],
)
def test_hypothesis_shrinks_to_the_shortest_history(wrong: type, clause: str, calls: int) -> None:
    """A state machine that judges each history itself: what it reports has no call too many."""
    adapter = adapter_of(wrong, conventions=CONVENTIONS)
    failing: list[Case] = []

    def check_history(case: Case) -> None:
        if clause in broken(case, adapter, [clause]):
            failing.append(case)
            raise AssertionError(clause)

    with pytest.raises(AssertionError, match=clause):
        run_state_machine_as_test(
            hypothesis.seed(1)(machine(check_history)),
            settings=hypothesis.settings(
                max_examples=400,
                stateful_step_count=6,
                database=None,
                deadline=None,
                print_blob=False,
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        )
    assert min(len(c.steps) for c in failing) <= calls
    assert len(failing[-1].steps) <= calls
