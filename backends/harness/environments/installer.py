"""What resolves requirements and installs them: uv, or venv with pip where there is no uv."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bnspec.backends.harness.environments import command
from bnspec.backends.harness.environments.failure import NotBuilt, last_lines
from bnspec.backends.harness.environments.index import configured

#: Variables of this process that would lead an installer, or what it starts, to packages of its own.
LEADING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
#: What must not be built from source while something is looked for that fits: it takes minutes, and fails for want of a compiler.
BINARY = "--only-binary=:all:"
#: A day that no release is after.
ALWAYS = "9999-01-01"


@dataclass(frozen=True)
class Wanted:
    """What is to be resolved.

    Attributes:
        requirements: one each; before: a date, "" for none; python: the path of the Python that it is for.
        dateless: the packages of which releases after the date are taken, too; binary: whether nothing is built from source.
    """

    requirements: tuple[str, ...]
    python: str
    before: str = ""
    dateless: tuple[str, ...] = ()
    binary: bool = True


class Installer(Protocol):
    """Resolves and installs.

    Attributes: name: "uv" or "pip"; dates: whether it can leave out what is newer than a date.
    """

    @property
    def name(self) -> str:
        """Which installer it is: "uv" or "pip"."""

    @property
    def dates(self) -> bool:
        """Whether it knows dates."""

    def resolve(self, wanted: Wanted, scratch: Path, held: int) -> str:
        """The lock: a line ``name==version`` with hashes for everything that is needed. Raises NotBuilt."""

    def build(self, python: str, lock: Path, folder: Path, held: int) -> None:
        """Make a virtual environment in a folder that does not exist, and install exactly what the lock lists. Raises NotBuilt."""


@dataclass(frozen=True)
class Uv:
    """uv, as a binary."""

    path: str
    name = "uv"
    dates = True

    def resolve(self, wanted: Wanted, scratch: Path, held: int) -> str:
        """By ``uv pip compile``."""
        asked = scratch / "requirements.in"
        asked.write_text("\n".join(wanted.requirements) + "\n", "utf-8")
        out = scratch / "lock.txt"
        dates = [f"--exclude-newer={wanted.before}"] if wanted.before else []
        dates += [f"--exclude-newer-package={name}={ALWAYS}" for name in wanted.dateless if wanted.before]
        self._call(
            ["pip", "compile", str(asked), f"--output-file={out}", f"--python={wanted.python}", "--generate-hashes"]
            + ["--no-header", "--no-annotate", "--index-strategy=unsafe-best-match", *dates, *configured().options()]
            + [BINARY] * wanted.binary,
            scratch,
            held,
            "resolving",
        )
        return out.read_text("utf-8")

    def build(self, python: str, lock: Path, folder: Path, held: int) -> None:
        """By ``uv venv`` and ``uv pip sync``."""
        self._call(["venv", "--no-project", f"--python={python}", str(folder)], folder.parent, held, "venv")
        options = ["--require-hashes", "--index-strategy=unsafe-best-match", *configured().options()]
        words = ["pip", "sync", str(lock), f"--python={python_of(folder)}", *options]
        self._call(words, folder.parent, held, "installing")

    def _call(self, words: Sequence[str], place: Path, held: int, doing: str) -> None:
        """Run it in a folder that holds no project, whose configuration would count."""
        environ = {**cleared(os.environ), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
        status, output = command.run([self.path, *words, f"--directory={place}"], environ, held)
        if status:
            raise NotBuilt(f"{doing} failed: {last_lines(output)}", unsolvable=status == 1 and doing == "resolving")


@dataclass(frozen=True)
class Pip:
    """venv and the pip that it brings."""

    name = "pip"
    dates = False

    def resolve(self, wanted: Wanted, scratch: Path, held: int) -> str:
        """By the report of ``pip install --dry-run`` in an environment that holds pip alone."""
        if wanted.before:
            raise NotBuilt("a date needs uv, which is not installed: pip cannot leave out what is newer")
        place = scratch / "resolving"
        report = scratch / "report.json"
        self._venv(wanted.python, place, held)
        self._pip(
            place,
            ["install", "--dry-run", "--ignore-installed", f"--report={report}", *configured().options()]
            + [BINARY] * wanted.binary
            + list(wanted.requirements),
            held,
            "resolving",
        )
        shutil.rmtree(place)
        return "".join(sorted(_locked(entry) for entry in json.loads(report.read_text("utf-8"))["install"]))

    def build(self, python: str, lock: Path, folder: Path, held: int) -> None:
        """By ``python -m venv`` and pip."""
        self._venv(python, folder, held)
        options = ["--require-hashes", "--no-deps", *configured().options()]
        self._pip(folder, ["install", *options, "-r", str(lock)], held, "installing")

    def _venv(self, python: str, folder: Path, held: int) -> None:
        self._call([python, "-I", "-m", "venv", str(folder)], held, "venv")

    def _pip(self, folder: Path, words: Sequence[str], held: int, doing: str) -> None:
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
        self._call([str(python_of(folder)), "-m", "pip", *words, *quiet], held, doing)

    def _call(self, words: Sequence[str], held: int, doing: str) -> None:
        status, output = command.run(words, cleared(os.environ), held)
        if status:
            unsolvable = doing == "resolving" and "No matching distribution" in output
            raise NotBuilt(f"{doing} failed: {last_lines(output)}", unsolvable)


def _locked(entry: Mapping[str, object]) -> str:
    """An entry of pip's report as a line of a lock."""
    metadata, download = entry["metadata"], entry["download_info"]
    assert isinstance(metadata, dict)
    assert isinstance(download, dict)
    hashes = download.get("archive_info", {}).get("hashes", {})
    listed = "".join(f" \\\n    --hash={kind}:{digest}" for kind, digest in sorted(hashes.items()))
    return f"{metadata['name']}=={metadata['version']}{listed}\n"


#: uv's own search reads sysconfig's table, which threads must not fill at once.
_LOOKING = threading.Lock()


def installer() -> Installer:
    """uv where it is installed, otherwise pip."""
    path = uv_path()
    return Uv(path) if path else Pip()


def uv_path() -> str | None:
    """uv beside this Python, where its package says that it is, or on the path."""
    if importlib.util.find_spec("uv") is not None:
        # beside this Python, or where pip install --target or --prefix have put it; a TypeError comes where another thread has just
        # begun to fill sysconfig's table
        with _LOOKING, contextlib.suppress(AttributeError, OSError, TypeError):
            return str(importlib.import_module("uv").find_uv_bin())
    return shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def cleared(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that lead a Python to packages of this process."""
    return {name: value for name, value in environ.items() if name not in LEADING}


def python_of(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / "bin" / "python"
