"""Whose modules are imported: never those that lie in the current folder, but for an adapter that the user named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry, own
from bnspec.errors import UsageError

#: Modules that a process of ours imports, from the standard library and beyond; a stranger's end the process at once.
NAMES = (
    "json",
    "socket",
    "numpy",
    "platform",
    "traceback",
    "importlib_metadata",
    "click",
    "rich",
    "msgspec",
    "torch",
    "bnspec",
)
STRANGE = "import os\nos._exit(77)\n"
ADAPTER = """
import sys
from bnspec.backends.numpy.specification import NumpySpec

class Mine(NumpySpec):
    def versions(self):
        import beside
        return {"numpy": "1", "last": sys.path[-1], "beside": beside.__file__}
"""


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, full of modules of a stranger, with an adapter and what it imports."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(STRANGE)
    (tmp_path / "mine.py").write_text(ADAPTER)
    (tmp_path / "beside.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return tmp_path


def test_a_worker_of_a_registered_backend_takes_nothing_from_the_current_folder(
    strange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the worker, the adapter and NumPy import comes from the installation."""
    with Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu") as worker:
        assert worker.hello.status == "ready"
    monkeypatch.setenv("PYTHONPATH", f":{strange / 'nothing'}")  # an empty entry is the current folder
    with pytest.raises(UsageError, match="module mine cannot be found"):
        Worker(Entry("registered", "mine:Mine"), "cpu")


@pytest.mark.parametrize("spec", ["mine:Mine", "mine.py:Mine", "./mine.py:Mine"])
def test_an_adapter_of_ones_own_comes_from_the_current_folder_behind_all_that_is_installed(
    spec: str, strange: Path
) -> None:
    """It may import what lies beside it, where nothing installed has the name."""
    with Worker(own(spec), "cpu") as worker:
        assert worker.hello.status == "ready", worker.hello
        assert worker.hello.versions["last"] == str(strange)
        assert worker.hello.versions["beside"] == str(strange / "beside.py")


@pytest.mark.parametrize("words", [["explain", "running.var"], ["backends", "--backend", "mine.py:Mine"]])
def test_the_command_line_takes_nothing_from_the_current_folder(
    words: list[str], strange: Path, environment: dict[str, str]
) -> None:
    """Also as ``python -m bnspec``, where Python itself puts that folder first."""
    # bnspec.py and what Python imports to find a module to run would come before any line of ours
    (strange / "bnspec.py").unlink()
    environment.pop("PYTHONSAFEPATH", None)
    end = subprocess.run(
        [sys.executable, "-m", "bnspec", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert end.returncode == 0, end.stderr


@pytest.mark.parametrize(
    "spec", ["a b:c d", "mine:", ":Mine", "mi\x1bne:Mine", "mi\xadne.py:Mine", "x" * 200 + ":Mine", "mine:Mine()"]
)
def test_what_names_no_adapter_is_refused(spec: str) -> None:
    """Before a process is started."""
    with pytest.raises(UsageError, match="names no adapter") as refused:
        own(spec)
    assert "path/file.py:Class" in refused.value.why
