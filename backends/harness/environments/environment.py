"""An environment that is there: its Python, and what is installed in it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

#: A line of a lock that names a release.
LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.+!_-]+)", re.MULTILINE)
#: Digits of a lock's hash: enough to be told apart, short enough to be typed.
DIGITS = 16


@dataclass(frozen=True)
class Environment:
    """An environment that a worker can be started in.

    Attributes:
        text: the specification; python: path of the interpreter; version: its version; "" where nobody has asked.
        lock: the hash of its lock; packages: releases by name, both empty where the environment is a Python that was there.
        folder: where it is kept; None where it is not ours. built: whether this call has installed it.
    """

    text: str
    python: str
    version: str
    lock: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    built: bool = False


def lock_hash(version: str, lock: str) -> str:
    """What an environment is known by: of its Python's version and of all that is installed, with hashes."""
    return hashlib.sha256(f"python=={version}\n{lock}".encode()).hexdigest()[:DIGITS]


def packages_of(lock: str) -> dict[str, str]:
    """The releases that a lock lists."""
    return {canonicalize_name(name): version for name, version in LINE.findall(lock)}
