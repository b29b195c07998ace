"""An adapter whose framework compiles with a program of the machine: what it says where that is missing, or old."""

from __future__ import annotations

import contextlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bnspec.backends.tinygrad.batch_norm import Tinygrad
from bnspec.contract import DeviceAbsent


class FakeTensor:
    """A tensor whose kernels compile for some dtypes."""

    def __init__(self, compiles: set[str], dtype: str = "float32") -> None:
        self.compiles, self.dtype = compiles, dtype

    def realize(self) -> FakeTensor:
        """Compile. Raises FileNotFoundError: not for this dtype."""
        if self.dtype not in self.compiles:
            raise FileNotFoundError("clang")
        return self

    def cast(self, dtype: str) -> FakeTensor:
        """Of another dtype."""
        return FakeTensor(self.compiles, dtype)

    def __add__(self, other: object) -> FakeTensor:
        return self


def fake_tinygrad(*compiles: str) -> Any:
    """A module with what the adapter reads when it is opened."""
    return SimpleNamespace(
        Tensor=lambda values: FakeTensor(set(compiles)),
        Context=lambda **options: contextlib.nullcontext(),
        dtypes=SimpleNamespace(float32="float32", float16="float16", bfloat16="bfloat16"),
    )


def test_a_missing_compiler_is_an_absent_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the program."""
    monkeypatch.setitem(sys.modules, "tinygrad", fake_tinygrad())
    with pytest.raises(DeviceAbsent, match="tinygrad compiles nothing here: FileNotFoundError: clang"):
        Tinygrad()


def test_a_dtype_that_does_not_compile_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older compiler leaves out bfloat16; the other dtypes stay."""
    monkeypatch.setitem(sys.modules, "tinygrad", fake_tinygrad("float32", "float16"))
    assert Tinygrad().conventions.dtypes == ("float64", "float32", "float16")
    monkeypatch.setitem(sys.modules, "tinygrad", fake_tinygrad("float32", "float16", "bfloat16"))
    assert "bfloat16" in Tinygrad().conventions.dtypes
