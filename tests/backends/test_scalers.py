"""Scalers whose package needs what pip does not install."""

from __future__ import annotations

import pytest

from bnspec.backends.pyspark.standard_scaler import Spark
from bnspec.errors import DeviceAbsent


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("no_java")
def test_spark_without_java_is_absent() -> None:
    """The reason says what is missing; Spark itself would end with an error of its launcher."""
    assert Spark.devices()["cpu"].startswith("absent: Spark runs in Java")
    with pytest.raises(DeviceAbsent, match="no java"):
        Spark()
