"""The compilation cache: what compiling frameworks keep on disk, so that the next verification need not compile it again.

A folder of ``backends/`` says in its ``environment.toml`` which variables make its framework keep compiled programs, and which
forbid it. Frameworks put their release, their options and the program itself into an entry's key; the folder here is named by
the processor too, since a program that was compiled for one may not run on another that shares the home directory.

Only verifications use it. Processes that are timed get ``cold()``: the first call of a timing compiles.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bnspec.backends.harness.folders import PACKAGE, backend_folders

CacheState = Literal["off", "cold", "warm"]
#: Bytes that the folder may hold when a run starts; the oldest entries beyond are removed.
BYTES_AT_MOST = 1 << 29
#: Where a folder's variables name the cache's folder.
PLACE = "{folder}"


def cold() -> dict[str, str]:
    """The variables of a process that must compile everything itself."""
    return {name: value for folder in backend_folders() for name, value in folder.cold.items()}


@dataclasses.dataclass(frozen=True)
class CompilationCache:
    """The variables that workers get, and what the cache held when the run began: for the manifest, which names no path.

    Attributes:
        environment: for ``Worker``; what the user has set of it stays.
        state: "off", "cold" (it was empty) or "warm" (it held entries).
    """

    environment: Mapping[str, str]
    state: CacheState


def open_cache(wanted: bool = True, environ: Mapping[str, str] = os.environ) -> CompilationCache:
    """The user's cache, or none: where it is not wanted, where the user has forbidden it, or its folder cannot be written.

    Args: environ: variables of the user; XDG_CACHE_HOME says where caches are, ~/.cache where it is absent.
    """
    if not wanted or any(environ.get(name) == value for name, value in cold().items()):
        return CompilationCache(cold(), "off")
    folder = cache_folder(environ)
    templates = {name: text for f in backend_folders() for name, text in f.compilation_cache.items()}
    variables = {name: environ.get(name, text.replace(PLACE, str(folder))) for name, text in templates.items()}
    places = {Path(variables[name]) for name, text in templates.items() if PLACE in text}
    try:
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        remove_oldest(folder, BYTES_AT_MOST)
        holds = any(entry.is_file() for place in places for entry in place.iterdir())
    except (
        OSError
    ):  # a home that is read-only or absent, as in containers: everything is compiled, and the manifest says so
        return CompilationCache(cold(), "off")
    return CompilationCache(variables, "warm" if holds else "cold")


def compiles(adapter: str) -> bool:
    """Whether an adapter (``package.module:Class``) is of a framework whose programs a cache keeps, or runs on top of one."""
    keeping = {folder.name for folder in backend_folders() if folder.compilation_cache}
    return any(
        adapter.startswith(f"{PACKAGE}.{folder.name}.")
        for folder in backend_folders()
        if keeping & {folder.name, *folder.folders}
    )


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The folder of this processor's programs."""
    return user_cache(environ) / "compiled" / hashlib.sha256(processor().encode()).hexdigest()[:16]


def user_cache(environ: Mapping[str, str]) -> Path:
    """The folder of everything that is kept for the user and can be made again."""
    return Path(environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "bnspec"


def processor() -> str:
    """What compilers specialise on: the architecture and, where the system lists them, the processor's features."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = ("flags", "Features", "model name")
    return "\n".join([platform.machine(), platform.processor(), *sorted({x for x in lines if x.startswith(named)})])


def remove_oldest(folder: Path, limit: int) -> None:
    """Remove the entries used longest ago until the rest has at most ``limit`` bytes; another run may do so at the same time."""
    if not folder.is_dir():
        return
    files = []
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            files.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    held = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if held <= limit:
            return
        path.unlink(missing_ok=True)
        held -= size
