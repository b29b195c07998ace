"""``bnspec watch``: the newest release of a package beside the last one that was looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from bnspec.backends.harness.environments.releases import Release
from bnspec.backends.harness.environments.spec import parse
from bnspec.conformance.releases.selection import listed_releases, package_of, usual
from bnspec.errors import HarnessError, UsageError

#: A file that holds a release is not longer.
STATE_BYTES = 256
#: Where GitHub's runners show a job's summary from.
SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True)
class Watched:
    """A package, the release that was looked at last, and the newest one."""

    package: str
    last: str
    newest: str

    @property
    def specs(self) -> tuple[str, ...]:
        """Both releases, the earlier first; none where there is nothing new."""
        pair = (f"{self.package}=={self.last}", f"{self.package}=={self.newest}")
        return pair if Version(self.last) < Version(self.newest) else ()


def watched(package: str, last: str | None) -> Watched:
    """What there is to compare. ``last``: None for the release before the newest.

    Raises UsageError: the package or the release is none; HarnessError: the index cannot be read, or lists no two releases.
    """
    spec = parse(package)
    if spec.interpreter or canonicalize_name(spec.text) != package_of(spec):
        raise UsageError(
            f"{package!r} is no name of a package.", "its newest release is watched.", "name it alone: jax."
        )
    name = package_of(spec)
    return _pair(name, [r for r in listed_releases(name) if usual(r)], last)


def _pair(package: str, listed: list[Release], last: str | None) -> Watched:
    versions = [r.version for r in listed]
    if last is not None:
        before = _version(last)
        if versions and before <= versions[-1]:
            return Watched(package, str(before), str(versions[-1]))
        newest = versions[-1] if versions else "none"
        raise UsageError(
            f"{package} {before} is newer than every release.", f"the newest is {newest}.", "name one that appeared."
        )
    if len(versions) < 2:
        raise HarnessError(
            f"there are no two releases of {package} to compare.",
            f"the indexes list {len(versions)} that some Python here can run.",
            "name an earlier one with --last, or install another Python.",
        )
    return Watched(package, str(versions[-2]), str(versions[-1]))


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(f"{text!r} is no release.", "a release is a version such as 0.4.20.", "write one.") from None


def read_state(file: Path) -> str | None:
    """The release in a file that ``write_state`` wrote; None where there is none yet. Raises UsageError: it holds another thing."""
    try:
        with file.open("rb") as opened:
            text = opened.read(STATE_BYTES).decode("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read.", f"{error}.", "name a file that bnspec watch wrote.") from None
    return str(_version(text))


def write_state(file: Path, release: str) -> None:
    """Remember a release, in one step. Raises UsageError: the file cannot be written."""
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        beside.write_text(f"{release}\n", "utf-8")
        beside.replace(file)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written.", f"{error.strerror}.", "name another file with --state."
        ) from None


def write_summary(text: str) -> None:
    """Add the Markdown to the summary of the job, where this is one."""
    if place := os.environ.get(SUMMARY):
        try:
            with Path(place).open("a", encoding="utf-8") as summary:
                summary.write(text)
        except OSError as error:
            raise HarnessError(
                f"the summary of the job, {place}, cannot be written.", f"{error.strerror}.", f"unset {SUMMARY}."
            ) from None
