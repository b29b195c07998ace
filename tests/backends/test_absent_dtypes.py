"""An environment without ml_dtypes, as beside an old NumPy: cases in bfloat16 are declined, the others are run."""

from __future__ import annotations

import sys

import pytest
from in_process import adapter_of, observed
from small_cases import case_of, layouts

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.model.call import TRAINING
from bnspec.model.case import Step


def test_bfloat16_is_declined_where_numpy_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step, with the reason; float32 is run as ever."""
    arrays, steps = layouts(), (Step(TRAINING, ("x",)), Step(TRAINING, ("x",)))
    half, single = (case_of(arrays[name], *steps) for name in ("bfloat16", "contiguous"))
    adapter, (header, buffers) = adapter_of(PlainLayer), half.header()
    assert run_case(adapter, header, buffers).status == "ok"
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    declined = run_case(adapter, header, buffers)
    assert declined.status == "declined"
    assert ["ml_dtypes" in step.message for step in declined.steps] == [True, True]
    assert observed(single, adapter).status == "ok"
