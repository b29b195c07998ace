"""Which backends there are for a package."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bnspec.backends.harness.environments.spec import EnvironmentSpec
from bnspec.backends.harness.folders import PACKAGE, BackendFolder, backend_folders
from bnspec.backends.harness.registry import Entry, registered, select
from bnspec.conformance.releases.selection import package_of
from bnspec.errors import UsageError


def within_releases(specs: Sequence[EnvironmentSpec], patterns: Sequence[str]) -> list[Entry]:
    """Every backend of each specification's package, in that environment: all of them, or those that the patterns name.

    Raises UsageError: there is none for a package, and no pattern names one.
    """
    named = select(patterns) if patterns else []
    inside = [e.name for e in named if e.environment is not None]
    if inside:
        raise UsageError(
            f"{inside[0]} names an environment.", "the releases are the environments.", "name the backend alone."
        )
    found = []
    for spec in specs:
        entries = named or ([] if spec.interpreter else backends_of(package_of(spec)))
        if not entries:
            known = sorted({name for folder in backend_folders() for name in packages(folder)})
            raise UsageError(
                f"no backend is known for {spec.text!r}.",
                f"there are backends of {', '.join(known)}.",
                "name the backends with --backend.",
            )
        found += [e.within(spec) for e in entries]
    return found


def backends_of(package: str) -> list[Entry]:
    """The backends whose folder asks for a package by name."""
    folders = [f.name for f in backend_folders() if package in packages(f)]
    return [e for e in registered() if any(e.adapter.startswith(f"{PACKAGE}.{name}.") for name in folders)]


def packages(folder: BackendFolder) -> set[str]:
    """The packages that a folder asks for."""
    return {canonicalize_name(Requirement(text).name) for text in folder.packages}
