"""The Pythons that are installed: this one, pyenv's, uv's, those on the path. One that fits is found among them; none is fetched."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnspec.backends.harness.environments.failure import NotBuilt, named

#: The oldest Python that a worker runs on.
OLDEST = (3, 8)
#: What a Python is asked: its version, its implementation, and the path of the installation behind a virtual environment.
QUESTION = "import sys; print(*sys.version_info[:3], sys.implementation.name, getattr(sys, '_base_executable', sys.executable))"
SECONDS = 20.0


@dataclass(frozen=True)
class Python:
    """An installed Python; ``text``: its version."""

    path: str
    version: tuple[int, int, int]

    @property
    def text(self) -> str:
        """E.g. "3.11.7"."""
        return ".".join(map(str, self.version))

    def is_a(self, version: str) -> bool:
        """Whether it is of this version, "3.11" or "3.11.7"."""
        asked = tuple(int(part) for part in version.split("."))
        return self.version[: len(asked)] == asked


def candidates(wanted: str) -> list[Python]:
    """The installed Pythons of a version; with "" all, in the order in which they are tried: this one's version, older, newer.

    Raises NotBuilt: there is none.
    """
    found = installed()
    fitting = [p for p in found if p.is_a(wanted)] if wanted else list(found)
    if not fitting:
        raise NotBuilt(f"no Python {wanted} is installed; found are {named([p.text for p in found])}")
    here = sys.version_info[:2]
    return sorted(fitting, key=lambda p: (p.version[:2] > here, [-n for n in p.version]))


@functools.cache
def installed() -> tuple[Python, ...]:
    """One Python of each minor version, its newest, that a worker runs on, the oldest first."""
    found: dict[tuple[int, int], Python] = {}
    for path in dict.fromkeys(_paths(os.environ)):
        python = asked(path)
        if python is not None and python.version >= OLDEST:
            kept = found.setdefault(python.version[:2], python)
            if python.version > kept.version:
                found[python.version[:2]] = python
    return tuple(found[version] for version in sorted(found))


@functools.cache
def asked(path: str) -> Python | None:
    """The Python at a path; None where there is no CPython."""
    try:
        end = subprocess.run(
            [path, "-I", "-S", "-c", QUESTION], capture_output=True, text=True, timeout=SECONDS, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = end.stdout.rstrip("\n").split(" ", 4)
    if end.returncode or len(words) != 5 or words[3] != "cpython" or not all(w.isdigit() for w in words[:3]):
        return None
    return Python(words[4], (int(words[0]), int(words[1]), int(words[2])))


def _paths(environ: Mapping[str, str]) -> Iterator[str]:
    """Where Pythons may be, those nearest to this one first."""
    yield sys.executable
    home = Path(environ.get("HOME") or "/")
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    for root in (pyenv, uv):
        yield from (str(path) for path in sorted(root.glob("*/bin/python3"), reverse=True))
    folders: Sequence[str] = [f for f in environ.get("PATH", "").split(os.pathsep) if f and "shims" not in f]
    for folder in (*folders, "/usr/bin", "/usr/local/bin"):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        yield from (str(Path(folder) / n) for n in sorted(names) if re.fullmatch(r"python3(\.\d+)?", n))
