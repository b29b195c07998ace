"""The releases of a package, and the environments that they are asked in."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.releases import releases_of
from bnspec.backends.harness.environments.spec import EnvironmentSpec
from bnspec.backends.harness.folders import PACKAGE, backend_folders
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry, registered, select
from bnspec.conformance.bisection.bisect import Build, Built, NotThere
from bnspec.errors import HarnessError, UsageError


def requirement_of(text: str) -> Requirement:
    """A package with its range. Raises UsageError: it is none."""
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(
            f"{text!r} is no range of releases.",
            f"{str(error).splitlines()[0]}.",
            "write for example 'jax>=0.4.13', or 'jax>=0.4.13,<0.6'.",
        ) from None
    if found.url or found.marker or found.extras:
        raise UsageError(
            f"{text!r} is no range of releases.",
            "it has a URL, a marker or extras.",
            "write for example 'jax>=0.4.13'.",
        )
    return found


def ordered(requirement: Requirement, pre: bool = False, yanked: bool = False) -> list[str]:
    """The releases in the range, the oldest first; without pre-releases and yanked ones unless they are asked for.

    Raises UsageError: fewer than two are in the range; HarnessError: no index can be read.
    """
    try:
        known = releases_of(requirement.name)
    except NotBuilt as error:
        raise HarnessError(
            f"the releases of {requirement.name} cannot be listed.",
            f"{error.reason}.",
            "check the network and the index.",
        ) from None
    found = [
        str(r.version)
        for r in known
        if (yanked or not r.yanked)
        and (pre or not r.version.is_prerelease)
        and requirement.specifier.contains(r.version, prereleases=True)
    ]
    if len(found) < 2:
        newest = ", ".join(str(r.version) for r in known[-5:])
        raise UsageError(
            f"{requirement} has {len(found)} release{'s' * (len(found) != 1)}.",
            f"the newest of {requirement.name} are {newest}; a change is between two.",
            "widen the range, or add --pre or --yanked.",
        )
    return found


def backend_of(package: str, named: str | None) -> Entry:
    """The backend that is asked: the one that is named, or the first of the package's folder.

    Raises UsageError: none is of this package, or the name names several.
    """
    if named is not None:
        found = select([named])
        if len(found) != 1:
            raise UsageError(
                f"{named!r} names {len(found)} backends.",
                f"they are {', '.join(e.name for e in found[:6])}, and a bisection asks one.",
                "name one of them.",
            )
        return found[0]
    name = canonicalize_name(package)
    for folder in backend_folders():
        if name not in {canonicalize_name(Requirement(text).name) for text in folder.packages}:
            continue
        own = [e for e in registered() if e.adapter.startswith(f"{PACKAGE}.{folder.name}.")]
        first = [e for name in (*folder.gate, *folder.report) for e in own if e.name == name]
        if first or own:
            return (first or own)[0]
    raise UsageError(
        f"no backend is of the package {package}.",
        "a backend's folder names the packages that it needs.",
        "name a backend with --backend, also path/file.py:Class.",
    )


def builder(entry: Entry, device: str, more: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> Build:
    """Builds environments in the user's cache, and opens the backend there. ``more``: requirements of every environment."""

    def build(requirements: Sequence[str]) -> Built:
        held = {canonicalize_name(Requirement(r).name) for r in requirements}
        rest = [r for r in more if canonicalize_name(Requirement(r).name) not in held]
        spec = EnvironmentSpec((*requirements, *rest))
        try:
            environment = obtain(spec)
        except NotBuilt as error:
            raise NotThere(error.reason) from None
        within = Entry(f"{entry.base}[{requirements[0]}]", entry.adapter, spec)
        opened = functools.partial(Worker, within, device, environment=variables)
        return Built(opened, dict(environment.packages or {}))

    return build
