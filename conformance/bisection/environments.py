"""The releases of a package, and the environments that they are asked in."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.spec import EnvironmentSpec, parse
from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry, select
from bnspec.conformance.bisection.bisect import Build, Built, NotThere
from bnspec.conformance.releases.backends import backends_of
from bnspec.conformance.releases.selection import Choice, chosen, package_of
from bnspec.errors import UsageError


@dataclass(frozen=True)
class Range:
    """The releases that are searched.

    Attributes:
        specs: one each, the oldest first; package: that they are of; releases: their versions; extras: that each is installed
            with, as "[cpu]".
    """

    specs: tuple[EnvironmentSpec, ...]

    @property
    def package(self) -> str:
        return package_of(self.specs[0])

    @property
    def extras(self) -> str:
        extras = sorted(self.specs[0].parsed[0].extras)
        return f"[{','.join(extras)}]" if extras else ""

    @property
    def releases(self) -> list[str]:
        return [str(spec.pinned[self.package]) for spec in self.specs]


def range_of(text: str, odd: bool = False) -> Range:
    """The releases that a text means, ``jax>=0.4.13``; without pre-releases and yanked ones unless they are asked for.

    A package without a range means the releases that its backends are written for. What follows the first requirement is installed
    with each. Raises UsageError: fewer than two are meant.
    """
    specs = chosen([with_range(text)], Choice("patch", odd=odd))
    if len(specs) < 2 or not all(spec.pinned for spec in specs):
        raise UsageError(
            f"{text!r} means {len(specs)} release{'s' * (len(specs) != 1)}.",
            "a change is between two.",
            "give a range, for example 'jax>=0.4.13', or a wider one.",
        )
    return Range(tuple(specs))


def with_range(text: str) -> str:
    """The text; where it names a package alone, with the range of the folder that asks for it."""
    spec = parse(text)
    if not spec.parsed or spec.parsed[0].specifier:
        return text
    name = canonicalize_name(spec.parsed[0].name)
    asked = [Requirement(t) for folder in backend_folders() for t in folder.packages]
    ranges = [str(r.specifier) for r in asked if canonicalize_name(r.name) == name and r.specifier]
    first, *others = spec.requirements
    return dataclasses.replace(spec, requirements=(first + next(iter(ranges), ""), *others)).text


def backend_of(package: str, named: str | None) -> Entry:
    """The backend that is asked: the one that is named, or the first of the package's folder.

    Raises UsageError: none is of this package, or the name names several.
    """
    found = select([named]) if named is not None else _gated(backends_of(package))[:1]
    if len(found) == 1:
        return found[0]
    if named is None:
        raise UsageError(
            f"no backend is of the package {package}.",
            "a backend's folder names the packages that it needs.",
            "name a backend with --backend, also path/file.py:Class.",
        )
    raise UsageError(
        f"{named!r} names {len(found)} backends.",
        f"they are {', '.join(e.name for e in found[:6])}, and a bisection asks one.",
        "name one of them.",
    )


def _gated(entries: Sequence[Entry]) -> list[Entry]:
    """Those that the tests take first."""
    first = {name for folder in backend_folders() for name in folder.gate}
    return sorted(entries, key=lambda e: e.name not in first)


def builder(entry: Entry, device: str, like: EnvironmentSpec) -> Build:
    """Builds environments in the user's cache, and opens the backend there.

    ``like``: what follows its first requirement holds for all, and so do its Python and its date.
    """

    def build(requirements: Sequence[str]) -> Built:
        held = {canonicalize_name(Requirement(r).name) for r in requirements}
        rest = [r for r in like.requirements[1:] if canonicalize_name(Requirement(r).name) not in held]
        spec = dataclasses.replace(like, requirements=(*requirements, *rest))
        try:
            environment = obtain(spec)
        except NotBuilt as error:
            raise NotThere(error.reason) from None
        within = Entry(f"{entry.base}[{requirements[0]}]", entry.adapter, spec)
        return Built(functools.partial(Worker, within, device), dict(environment.packages or {}))

    return build
