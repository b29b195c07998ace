"""The environments in the user's cache: resolved once, built once, shared by runs, and never half there.

    XDG_CACHE_HOME/bnspec/environments/
        resolved/<hash of the specification>.json    which lock it has
        ready/<hash of the lock>/                    an environment: lock.txt, environment.json, venv/
        building/<hash>/                             one that is being built, renamed into place when it is whole
        locks/<hash>                                 held while it is built, by the installer too

A build that was killed leaves a folder in ``building`` that nothing takes for an environment and the next build removes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import errno
import fcntl
import functools
import hashlib
import itertools
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bnspec.backends.harness.compilation_cache import user_cache
from bnspec.backends.harness.environments.companions import Needs, dated, needs_of
from bnspec.backends.harness.environments.environment import Environment, lock_hash, packages_of
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.installer import Installer, Wanted, installer, python_of
from bnspec.backends.harness.environments.pythons import Python, asked, candidates
from bnspec.backends.harness.environments.spec import EnvironmentSpec
from bnspec.backends.harness.interruption import check
from bnspec.errors import FULL, UsageError
from bnspec.printable import quoted, some

#: Moves when what is kept would be misread.
FORMAT = 1
WAIT_SECONDS = 0.05
DESCRIPTION, LOCK, VENV = "environment.json", "lock.txt", "venv"
#: Called with what is being done.
Report = Callable[[str], None]


def environments_folder() -> Path:
    """The folder of all environments."""
    return user_cache(os.environ) / "environments"


def obtain(spec: EnvironmentSpec, report: Report = lambda doing: None) -> Environment:
    """The environment of a specification: from this process, from the cache, or resolved and built. Raises NotBuilt.

    In one process a specification means the same releases from beginning to end.
    """
    with _obtaining.setdefault(spec.text, threading.Lock()):
        had = _obtained.get(spec.text)
        if isinstance(had, NotBuilt):
            raise had
        if had is not None and Path(had.python).exists():
            return dataclasses.replace(had, built=False)
        try:
            made = _there(spec) if spec.interpreter else _cached(spec, report)
        except NotBuilt as reason:
            _obtained[spec.text] = reason
            raise
        except OSError as error:
            raise _refused(error) from None
        _obtained[spec.text] = made
        if made.folder is not None:
            _use(made.lock)
        return made


_obtaining: dict[str, threading.Lock] = {}
_obtained: dict[str, Environment | NotBuilt] = {}
#: By file, the descriptors that say that this process uses an environment; the system closes them at the latest.
_used: dict[Path, int] = {}


def _use(digest: str) -> None:
    """Hold the environment as used by this process: another one does not remove it."""
    place = environments_folder() / "locks" / f"{digest}.used"
    if place in _used:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _used[place] = descriptor


@contextlib.contextmanager
def _unused(digest: str) -> Iterator[None]:
    """Hold an environment that no other process uses. Raises _Busy: one does."""
    root, name = environments_folder(), f"{digest}.used"
    if (mine := _used.pop(root / "locks" / name, None)) is not None:
        os.close(mine)
    with free(root, name):
        yield


def is_there(spec: EnvironmentSpec) -> bool:
    """Whether ``obtain`` would neither resolve nor install anything."""
    known = _remembered(spec)
    return bool(spec.interpreter) or (known is not None and _ready(environments_folder(), known, spec) is not None)


def _remembered(spec: EnvironmentSpec) -> str | None:
    """The lock that the specification had when it was resolved last."""
    key = _key(spec, needs_of(spec), installer())
    known = _read(environments_folder() / "resolved" / f"{key}.json")
    return None if known is None else str(known.get("lock"))


def forget() -> None:
    """Let the next ``obtain`` look again."""
    _obtained.clear()


def _there(spec: EnvironmentSpec) -> Environment:
    """A Python that was there before us: taken as it is."""
    python = asked(spec.interpreter)
    if python is None:
        raise NotBuilt(f"{spec.interpreter} is no Python that can be run")
    return Environment(spec.text, spec.interpreter, python.text)


def _cached(spec: EnvironmentSpec, report: Report) -> Environment:
    root, tool, needs = environments_folder(), installer(), needs_of(spec)
    key = _key(spec, needs, tool)
    remembered = root / "resolved" / f"{key}.json"
    known = _remembered(spec)
    if known is not None and spec.fixed and (ready := _ready(root, known, spec)) is not None:
        return ready
    with held(root, key, report) as lock_descriptor, scratch(root, key) as folder:
        try:
            wanted = dated(needs, spec) if tool.dates else needs
            python, lock = _resolve(wanted, tool, folder, lock_descriptor, report)
        except NotBuilt as reason:
            if (
                known is not None and not reason.unsolvable
            ):  # no network: what it meant last time is better than nothing
                ready = _ready(root, known, spec)
                if ready is not None:
                    report(f"{reason.reason}; taken as it was resolved before")
                    return ready
            raise
    digest = lock_hash(python.text, lock)
    environment = _ready(root, digest, spec) or _build(root, digest, (spec, python, lock), tool, report)
    remembered.parent.mkdir(parents=True, exist_ok=True)
    _write(remembered, {"spec": spec.text, "requirements": list(needs.requirements), "lock": digest})
    return environment


def _key(spec: EnvironmentSpec, needs: Needs, tool: Installer) -> str:
    """What a resolution depends on, as far as we say it."""
    said = (FORMAT, platform.machine(), platform.system(), tool.name, spec.python, *dataclasses.astuple(needs))
    return hashlib.sha256(repr(said).encode()).hexdigest()[:24]


def _resolve(needs: Needs, tool: Installer, folder: Path, lock: int, report: Report) -> tuple[Python, str]:
    """The first Python, of those that fit, on which the requirements can be met; built from source only where none can."""
    pythons = candidates(needs.python)
    refusal: NotBuilt | None = None  # of the framework alone: what the worker can do without is no reason
    for requirements, binary in itertools.product(dict.fromkeys((needs.requirements, needs.framework)), (True, False)):
        for python in pythons:
            check()
            report(f"resolving for Python {python.text}")
            wanted = Wanted(requirements, python.path, needs.before, needs.dateless, binary)
            try:
                return python, tool.resolve(wanted, folder, lock)
            except NotBuilt as reason:
                if not reason.unsolvable:
                    raise
                if requirements == needs.framework and binary and python is pythons[0]:
                    refusal = reason
    assert refusal is not None, "there is a Python"
    tried = ", ".join(p.text for p in pythons)
    raise NotBuilt(f"{refusal.reason} (tried with Python {tried})", unsolvable=True)


def _build(
    root: Path, digest: str, what: tuple[EnvironmentSpec, Python, str], tool: Installer, report: Report
) -> Environment:
    """Install a lock into a folder of its own, and put that in its place when it is whole."""
    spec, python, lock = what
    with held(root, digest, report) as descriptor:
        if (ready := _ready(root, digest, spec)) is not None:  # another run was faster
            return ready
        with scratch(root, digest) as folder:
            report(f"installing {len(packages_of(lock))} packages for Python {python.text}")
            (folder / LOCK).write_text(lock, "utf-8")
            tool.build(python.path, folder / LOCK, folder / VENV, descriptor)
            made = {"format": FORMAT, "spec": spec.text, "python": python.text, "lock": digest, "installer": tool.name}
            _write(folder / DESCRIPTION, made)
            place = root / "ready" / digest
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)  # one whose Python has gone
            folder.rename(place)
    ready = _ready(root, digest, spec)
    if ready is None:
        raise NotBuilt(f"what was installed in {place} does not run")
    return dataclasses.replace(ready, built=True)


def _ready(root: Path, digest: str, spec: EnvironmentSpec) -> Environment | None:
    """A whole environment whose Python is still there; None where there is none."""
    folder = root / "ready" / digest
    described = _read(folder / DESCRIPTION)
    python = python_of(folder / VENV)
    if described is None or described.get("format") != FORMAT or not python.exists():
        return None
    packages = packages_of((folder / LOCK).read_text("utf-8"))
    with contextlib.suppress(OSError):
        os.utime(folder)  # when it was used last
    return Environment(spec.text, str(python), str(described.get("python")), digest, packages, folder)


@contextlib.contextmanager
def held(root: Path, name: str, report: Report = lambda doing: None) -> Iterator[int]:
    """Hold the lock of this name; the descriptor of it. Another run that builds the same is waited for."""
    place = root / "locks" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        said = False
        while not _locked(descriptor):
            check()
            if not said:
                report("waiting for another run that builds it")
                said = True
            time.sleep(WAIT_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def scratch(root: Path, name: str) -> Iterator[Path]:
    """An empty folder to build in, by who holds the lock of this name; removed afterwards, unless it was put in its place."""
    folder = root / "building" / name
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(file: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is none that can be read."""
    try:
        read = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) else None


def _write(file: Path, data: dict[str, Any]) -> None:
    """Write it beside its place, and put it there when it is whole."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        beside.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _refused(error: OSError) -> NotBuilt:
    """An error of the system in our own folders."""
    where = f"the folder of environments, {environments_folder()}"
    if error.errno in FULL:
        return NotBuilt(f"{where}, is on a full disk: make room, or set XDG_CACHE_HOME to another")
    return NotBuilt(f"{where}, cannot be used: {os.strerror(error.errno or errno.EIO)}; set XDG_CACHE_HOME to another")


@dataclasses.dataclass(frozen=True)
class Kept:
    """An environment in the cache.

    Attributes: lock: its hash; text: the specification that it was first built for; python: the version; folder, used: where it
        is, and when it was used last, in seconds since 1970.
    """

    lock: str
    text: str
    python: str
    folder: Path
    used: float

    @functools.cached_property
    def bytes(self) -> int:
        """Its size, as it is when it is first asked for: every file is looked at."""
        return size_of(self.folder)


def kept() -> list[Kept]:
    """The environments in the cache, those used last first."""
    found = []
    for file in (environments_folder() / "ready").glob(f"*/{DESCRIPTION}"):
        described, folder = _read(file), file.parent
        if described is not None:
            text, python = str(described.get("spec")), str(described.get("python"))
            found.append(Kept(folder.name, text, python, folder, folder.stat().st_mtime))
    return sorted(found, key=lambda k: -k.used)


def size_of(folder: Path) -> int:
    """Bytes on the disk; files that are links of others count in full, and those that somebody removes meanwhile do not."""
    found = 0
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                found += os.lstat(os.path.join(place, name)).st_blocks * 512
    return found


def remove(locks: Sequence[str]) -> list[Kept]:
    """Remove environments by the beginnings of their hashes. Raises UsageError: one names none, or several."""
    removed = []
    there = kept()
    for lock in locks:
        named = [k for k in there if k.lock.startswith(lock)] if lock else []
        if len(named) != 1:
            hashes = [k.lock for k in named or there]
            near = difflib.get_close_matches(lock, hashes, 2) if not named else []
            raise UsageError(
                f"{quoted(lock)} names {len(named) or 'no'} environment{'s' * (len(named) != 1)}.",
                f"{'it is the beginning of' if named else 'there are'} {some(hashes, 3) or 'none'}.",
                (f"did you mean {' or '.join(near)}? " if near else "")
                + "name one by its hash, which bnspec environments list shows.",
            )
        removed += named
    for one in removed:
        try:
            with _unused(one.lock):
                _remove(one)
        except _Busy:
            raise UsageError(
                f"environment {one.lock[:12]} is in use.",
                "another run has opened it.",
                "remove it when that run has ended.",
            ) from None
    return removed


def prune(days: float) -> list[Kept]:
    """Remove the environments that were not used for so many days, and what killed builds have left; none that is in use."""
    root = environments_folder()
    for folder in (root / "building").glob("*"):
        with contextlib.suppress(_Busy), free(root, folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    old = [k for k in kept() if time.time() - k.used >= days * 86400]
    removed = []
    for one in old:
        with contextlib.suppress(_Busy), _unused(one.lock):
            _remove(one)
            removed.append(one)
    return removed


def _remove(one: Kept) -> None:
    """Remove an environment: first out of its place, so that nobody takes what is half removed."""
    folder, _ = one.folder, one.bytes  # its size is that of before
    aside = folder.parents[1] / "building" / f"{folder.name}.removed"
    aside.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


class _Busy(Exception):
    """Somebody builds or uses it."""


@contextlib.contextmanager
def free(root: Path, name: str) -> Iterator[None]:
    """Hold a lock that nobody holds. Raises _Busy: somebody does."""
    place = root / "locks" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            raise _Busy
        yield
    finally:
        os.close(descriptor)
