"""What is shown of much: the first of each group, and how many more there are. Nobody reads 30,000 rows; a command lists them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")


@dataclasses.dataclass(frozen=True)
class Excerpt(Generic[T]):
    """The first of a list, and how many follow them."""

    shown: Sequence[T]
    more: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything, shown or not."""
        return bool(self.shown or self.more)


def excerpt(listed: Iterable[T], most: int) -> Excerpt[T]:
    """The first ``most`` of a list."""
    whole = list(listed)
    return Excerpt(whole[:most], max(len(whole) - most, 0))


def shares(groups: Mapping[K, Sequence[T]], most: int) -> dict[K, Excerpt[T]]:
    """Of each group its first, so that all groups together show at most ``most``: everything, if that is not more.

    Otherwise each group has the same share, at least one; groups beyond ``most`` show none.
    """
    if sum(map(len, groups.values())) <= most:
        return {key: Excerpt(listed) for key, listed in groups.items()}
    each = max(most // len(groups), 1)
    return {key: excerpt(listed, each if number < most else 0) for number, (key, listed) in enumerate(groups.items())}


def listing(paths: Sequence[Path], command: str = "report", pattern: str = "") -> str:
    """The call that lists all of it."""
    words = ["bnspec", command, *map(str, paths)]
    return shlex.join([*words, "--findings", pattern] if pattern else words)
