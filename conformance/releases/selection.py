"""Which releases a call means: ``jax==0.4.20``, ``jax`` (the newest), or some of a range, in the order of their versions."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.pythons import installed
from bnspec.backends.harness.environments.releases import Release, releases_of
from bnspec.backends.harness.environments.spec import EnvironmentSpec, parse
from bnspec.errors import HarnessError, UsageError

DATES = re.compile(r"(\d{4}-\d{2}(?:-\d{2})?)\.\.(\d{4}-\d{2}(?:-\d{2})?)")


@dataclass(frozen=True)
class Choice:
    """Which releases of a range are taken.

    Attributes:
        every: "minor": the last patch of every minor release; "patch": all; None: the newest alone, or as the others say.
        newest: at most so many, the newest; dates: the first day and the one after the last, in which they appeared.
        odd: whether pre-releases and those that were yanked are taken, too.
    """

    every: str | None = None
    newest: int | None = None
    dates: tuple[datetime.date, datetime.date] | None = None
    odd: bool = False

    @property
    def several(self) -> bool:
        """Whether more than the newest release may be meant."""
        return bool(self.every or self.newest or self.dates)


def choice_of(every: str | None, newest: int | None, dates: str | None, odd: bool) -> Choice:
    """The choice of a call's options. Raises UsageError: the dates are none."""
    if dates is None:
        return Choice(every, newest, None, odd)
    found = DATES.fullmatch(dates)
    try:
        if found is None:
            raise ValueError("two dates, with .. between them")
        first, last = _first_day(found[1]), _day_after(found[2])
        if first >= last:
            raise ValueError("the second date is before the first")
    except ValueError as error:
        raise UsageError(f"--dates {dates!r} is no time.", f"{error}.", "write for example 2024-01..2026-11.") from None
    return Choice(every, newest, (first, last), odd)


def _first_day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text if text.count("-") == 2 else f"{text}-01")


def _day_after(text: str) -> datetime.date:
    if text.count("-") == 2:
        return datetime.date.fromisoformat(text) + datetime.timedelta(days=1)
    return (_first_day(text) + datetime.timedelta(days=31)).replace(day=1)


def chosen(texts: Sequence[str], choice: Choice) -> list[EnvironmentSpec]:
    """The environments of a call, each once, in the order of the call, and of the versions within a range.

    Raises UsageError: one names no release; HarnessError: the index cannot be read.
    """
    found: dict[str, EnvironmentSpec] = {}
    for text in texts:
        spec = parse(text)
        for one in [spec] if spec.interpreter else _of(spec, choice):
            found.setdefault(one.text, one)
    return list(found.values())


def package_of(spec: EnvironmentSpec) -> str:
    """The package that a specification is about: the first that it names."""
    return canonicalize_name(spec.parsed[0].name)


def _of(spec: EnvironmentSpec, choice: Choice) -> list[EnvironmentSpec]:
    first, *others = spec.requirements
    requirement = Requirement(first)
    package = canonicalize_name(requirement.name)
    if package in spec.pinned:
        return [spec]
    listed = listed_releases(package)
    taken = taken_of(listed, requirement.specifier, choice)
    if not taken:
        newest = ", ".join(str(r.version) for r in listed[-5:])
        raise UsageError(
            f"no release of {package} is meant by {spec.text!r}.",
            f"there are {len(listed)}, the newest {newest}; pre-releases and yanked ones count with --odd alone.",
            "name a wider range.",
        )
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    pinned = [f"{requirement.name}{extras}=={r.version}" for r in taken]
    return [replace(spec, requirements=(text, *others)) for text in pinned]


def listed_releases(package: str) -> tuple[Release, ...]:
    """What the indexes list. Raises HarnessError: none can be read."""
    try:
        return releases_of(package)
    except NotBuilt as reason:
        raise HarnessError(
            f"the releases of {package} are not known.",
            f"{reason.reason}.",
            "check the name and the network, or name the releases: " + f"{package}==1.2.3.",
        ) from None


def taken_of(listed: Sequence[Release], within: SpecifierSet, choice: Choice) -> list[Release]:
    """The releases of a range that a choice takes, the earliest first."""
    found = [r for r in listed if within.contains(r.version, prereleases=True) and (choice.odd or usual(r))]
    if choice.dates is not None:
        first, last = choice.dates
        found = [r for r in found if r.uploaded is not None and first <= r.uploaded.date() < last]
    if choice.every == "minor":
        found = list({r.version.release[:2]: r for r in found}.values())
    if not choice.several:
        return found[-1:]
    return found[-choice.newest :] if choice.newest else found


def usual(release: Release) -> bool:
    """Whether it was neither yanked nor made before its time, and one of the Pythons that are installed is good for it."""
    if release.yanked or release.version.is_prerelease:
        return False
    versions = [Version(p.text) for p in installed()]
    return not release.pythons or any(
        not said or any(SpecifierSet(said).contains(v, prereleases=True) for v in versions) for said in release.pythons
    )
