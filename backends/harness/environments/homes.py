"""The environment of a backend, and the variables with which a worker is started in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

from bnspec.backends.harness.environments.bundle import bundle
from bnspec.backends.harness.environments.cache import is_there, obtain
from bnspec.backends.harness.environments.environment import Environment
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.installer import cleared
from bnspec.backends.harness.environments.spec import EnvironmentSpec
from bnspec.backends.harness.folders import PACKAGE, BackendFolder, backend_folders
from bnspec.backends.harness.registry import Entry


@dataclass(frozen=True)
class Home:
    """Where a worker is started: an environment, and the variables that it needs there instead of this program's."""

    environment: Environment
    variables: Mapping[str, str]


def spec_of(entry: Entry) -> EnvironmentSpec | None:
    """The environment of a backend; None: that of this program.

    It is the one in its name; or that of its folder, where the folder has one of its own and its packages are not installed here.
    """
    if entry.environment is not None or entry.own:
        return entry.environment
    folder = next((f for f in backend_folders() if entry.adapter.startswith(f"{PACKAGE}.{f.name}.")), None)
    if folder is None or not folder.own:
        return None
    needed = packages_of(folder)
    return None if all(installed(text) for text in needed) else EnvironmentSpec(needed)


def packages_of(folder: BackendFolder) -> tuple[str, ...]:
    """The requirements of a folder and of those that it names."""
    others = [f for f in backend_folders() if f.name in folder.folders]
    return tuple(dict.fromkeys([*folder.packages, *(p for other in others for p in packages_of(other))]))


def installed(text: str) -> bool:
    """Whether a requirement is met in this program's environment."""
    requirement = Requirement(text)
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def home_of(entry: Entry, report: Callable[[str], None] = lambda doing: None) -> Home | None:
    """The home of a backend, built where it is not there; None: this program's interpreter. Raises NotBuilt."""
    spec = spec_of(entry)
    if spec is None:
        return None
    environment = obtain(spec, report)
    try:
        folder = bundle()
    except OSError as error:
        raise NotBuilt(f"the worker's code cannot be put into the user's cache: {error.strerror}") from None
    # of this program's path nothing is left: its packages are of another Python, and would hide those of the environment
    return Home(environment, {**cleared(os.environ), "PYTHONPATH": str(folder), "PYTHONNOUSERSITE": "1"})


def missing(entry: Entry) -> EnvironmentSpec | None:
    """The environment that is still to be built for a backend; None where there is nothing to build."""
    spec = spec_of(entry)
    return None if spec is None or is_there(spec) else spec
