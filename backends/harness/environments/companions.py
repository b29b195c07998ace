"""What an environment needs besides what is asked for: the worker's own packages, companions, and a date for the rest.

A backend folder says in its ``environment.toml`` which companions a release needs, where its own metadata do not say so::

    [[companions]]
    package = "jax"
    releases = "<0.4.30"
    needs = ["jaxlib=={version}"]

An entry counts where the package is pinned to one of these releases, or, with ``releases = ""``, where it is asked for at all. ``{version}``
is the pinned release. What the specification names itself is not asked for again.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from bnspec.backends.harness.environments.releases import uploaded
from bnspec.backends.harness.environments.spec import EnvironmentSpec, pin
from bnspec.backends.harness.folders import backend_folders

#: What a worker imports besides the framework; bfloat16 needs the second one, which an old NumPy does not meet.
NUMPY, ML_DTYPES = "numpy>=1.17", canonicalize_name("ml_dtypes")
#: Weeks after a release in which its companions appeared, too.
WEEKS = 8


@dataclass(frozen=True)
class Needs:
    """Everything that is to be resolved.

    Attributes:
        requirements: one each, those of the worker among them; framework: those without what a worker can do without.
        python: a version, or ""; before: a date, or ""; dateless: packages that are pinned: a date is for what is not.
    """

    requirements: tuple[str, ...]
    framework: tuple[str, ...]
    python: str
    before: str
    dateless: tuple[str, ...]


def by_name(requirements: Sequence[Requirement]) -> dict[NormalizedName, Requirement]:
    """One requirement for each package: all that is said of it."""
    found: dict[NormalizedName, Requirement] = {}
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        said = Requirement(str(requirement))
        if name in found:
            said.specifier &= found[name].specifier
            said.extras |= found[name].extras
        found[name] = said
    return found


def needs_of(spec: EnvironmentSpec) -> Needs:
    """The needs of a specification, with the date that it names."""
    asked = by_name(spec.parsed)
    for companion in _companions():
        for need in companion.needs_for(asked):
            asked.setdefault(canonicalize_name(need.name), need)
    pinned = sorted(name for name, r in asked.items() if pin(r) is not None)
    asked.setdefault(canonicalize_name("numpy"), Requirement(NUMPY))
    framework = tuple(str(r) for r in asked.values())
    optional = () if ML_DTYPES in asked else (ML_DTYPES,)
    return Needs((*framework, *optional), framework, spec.python, spec.before, (*pinned, *optional))


def dated(needs: Needs, spec: EnvironmentSpec) -> Needs:
    """The needs with a date: that of the specification, or eight weeks after the release that it pins first.

    So what a release needs is of its time, and today's NumPy does not meet a framework of years ago.
    """
    first = canonicalize_name(spec.parsed[0].name)
    version = spec.pinned.get(first)
    when = uploaded(first, version) if version is not None and not needs.before else None
    if when is None:
        return needs
    return dataclasses.replace(needs, before=(when + datetime.timedelta(weeks=WEEKS)).date().isoformat())


@dataclass(frozen=True)
class Companion:
    """What some releases of a package need besides what they say themselves."""

    package: str
    needs: tuple[str, ...]
    releases: str = ""

    def needs_for(self, asked: Mapping[NormalizedName, Requirement]) -> list[Requirement]:
        """The requirements, where the package is asked for in one of these releases."""
        requirement = asked.get(canonicalize_name(self.package))
        if requirement is None:
            return []
        version = pin(requirement)
        if self.releases and (version is None or not self._counts(version)):
            return []
        return [Requirement(need.replace("{version}", str(version))) for need in self.needs]

    def _counts(self, version: Version) -> bool:
        return SpecifierSet(self.releases).contains(version, prereleases=True)


def _companions() -> list[Companion]:
    """What the backend folders say."""
    said = [entry for folder in backend_folders() for entry in folder.companions]
    return [Companion(e["package"], tuple(e["needs"]), e.get("releases", "")) for e in said]
