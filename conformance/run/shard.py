"""A shard of a run: every n-th of its cases, so that several machines share the work of one call."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bnspec.errors import UsageError


@dataclass(frozen=True, order=True)
class Shard:
    """The part ``number`` of ``of`` parts, counted from 1: the cases k of the whole run with k mod of == number - 1."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """The shard of the text "i/n". Raises UsageError: it is none."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        shard = cls(int(found[1]), int(found[2])) if found else None
        if shard is None or not 1 <= shard.number <= shard.of:
            raise UsageError(
                f"--shard {text} is no shard.",
                "a shard is written i/n, where i is from 1 to n.",
                "for three machines give --shard 1/3, 2/3 and 3/3.",
            )
        return shard

    def has(self, order: int) -> bool:
        """Whether the case of this number in the whole run belongs to the shard."""
        return order % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
