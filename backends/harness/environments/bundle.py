"""The worker's side as a folder of its own: all of ours that a foreign environment gets, by its path and not installed.

It lies in the user's cache under the hash of its contents. It holds no file of the harness, and nothing beside it is on the path of
the worker but what is installed in the environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from bnspec.backends.harness.compilation_cache import user_cache

#: The files of the worker's side, below the package and below its folder ``backends``; ``harness`` is none of it.
SPECIFICATION = ("__init__.py", "errors.py", "contract.py", "printable.py", "model/*.py", "equations/*.py")
BACKENDS = ("__init__.py", "*/*.py")
HARNESS = "harness"


def bundle() -> Path:
    """The folder for PYTHONPATH; made where it is not there. Raises OSError."""
    files = worker_side()
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    folder = user_cache(os.environ) / "bundles" / digest.hexdigest()[:24]
    if not folder.is_dir():
        _write(folder, files)
    return folder


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Make it beside its place, and put it there when it is whole; another run may be faster, with the same contents."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        for name, content in files.items():
            file = beside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        try:
            beside.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@cache
def worker_side() -> dict[str, bytes]:
    """The files by their path in the bundle, in a fixed order."""
    backends = Path(__file__).resolve().parents[2]
    specification = Path(os.path.realpath(backends.parent)) / "bnspec" if _is_checkout(backends) else backends.parent
    found = {f"bnspec/{name}": file for name, file in _files(specification, SPECIFICATION)}
    found.update({f"bnspec/backends/{name}": file for name, file in _files(backends, BACKENDS)})
    return {name: found[name].read_bytes() for name in sorted(found)}


def _is_checkout(backends: Path) -> bool:
    """Whether ``backends`` lies beside the package, as in the repository, and not in it, as where it is installed."""
    return (backends.parent / "bnspec" / "contract.py").is_file()


def _files(root: Path, patterns: tuple[str, ...]) -> list[tuple[str, Path]]:
    found = [(p.relative_to(root), p) for pattern in patterns for p in root.glob(pattern)]
    return [(name.as_posix(), path) for name, path in found if name.parts[0] != HARNESS]
