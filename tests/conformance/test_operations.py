"""What passes show of an operation between calls: a copy with another gamma has the same statistics."""

from __future__ import annotations

from typing import Any

import pytest

from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec
from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.building import Form, Plan
from bnspec.conformance.cases.programs import history_case
from bnspec.conformance.causes.other_calls import with_other_calls
from bnspec.conformance.judge.judge import judge
from bnspec.oracle.oracle import Oracle

PASSES = "training_gradients inference"
COPIED = f"{PASSES} save_restore {PASSES} clone {PASSES}"
FROZEN = "training freeze training unfreeze training"


class Restored(NumpyLayer):
    """Forgets gamma in its checkpoint."""

    def restored(self) -> NumpyLayer:
        """A layer with another gamma."""
        layer = super().restored()
        layer.gamma = layer.gamma * 0 + 1
        return layer


class Copied(NumpyLayer):
    """Forgets beta in copies."""

    def copied(self) -> NumpyLayer:
        """A layer with another beta."""
        layer = super().copied()
        layer.beta = layer.beta * 0
        return layer


class Unfrozen(NumpyLayer):
    """Stays frozen."""

    def freeze(self, frozen: bool) -> None:
        """Freeze; not unfreeze."""
        self.frozen = self.frozen or frozen


class Doubled(NumpyLayer):
    """Is wrong in itself, before and after any operation."""

    def training(self, x: Any) -> Any:
        """y, twice."""
        return 2 * super().training(x)


@pytest.mark.parametrize(
    ("made", "events", "expected"),
    [
        (NumpyLayer, f"{COPIED} {FROZEN}", set()),
        (Restored, COPIED, {"state.snapshot_continues"}),
        (Copied, COPIED, {"state.copy_is_independent"}),
        (Unfrozen, FROZEN, {"gradient.frozen_statistics"}),
        (Doubled, COPIED, set()),
    ],
)
@pytest.mark.parametrize("added", [False, True])
def test_passes_after_an_operation_are_judged_by_those_before(
    made: type[NumpyLayer], events: str, expected: set[str], added: bool
) -> None:
    """The clause about the operation is broken where passes were right before it, and are wrong after it; added calls do not matter."""
    adapter = type("Own", (NumpySpec,), {"layer": lambda self, *given: made(*given)})("cpu")
    case = history_case(Plan(Form((9, 5), 1), "wide", seed=126), events)
    case = with_other_calls(case) if added else case
    found = judge(case, run_case(adapter, *case.header()), adapter.conventions, Oracle(case))
    about = ("state.snapshot_continues", "state.copy_is_independent", "gradient.frozen_statistics")
    assert {c for c in about if (j := found.get(c)) is not None and not j.holds} == expected
