"""What a feature of a case is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from bnspec.model.case import Case


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of a case.

    Attributes:
        name: for readers; ordinary: its ordinary value, in words.
        value: the case's own value, in words; "" where that is the ordinary one.
        changed: the case with the ordinary value; None where there is no such case. The number is that of the step that
            deviates.
        changes: other features that become ordinary with this one: where one of them is needed, this one is not.
        control: the case in which only those become ordinary: a deviation that needs them, and not this feature, disappears
            there. None where nothing else changes.
        alone: the case in which only this feature becomes ordinary, for a deviation that needs the
            state, too.
    """

    name: str
    ordinary: str
    value: Callable[[Case, int], str]
    changed: Callable[[Case, int], Case | None]
    changes: frozenset[str] = frozenset()
    control: Callable[[Case, int], Case | None] | None = None
    alone: Callable[[Case, int], Case | None] | None = None
