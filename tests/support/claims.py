"""Which test verifies which clause of the specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bnspec.clauses import CLAUSES

Test = TypeVar("Test", bound=Callable[..., Any])


def verifies(*ids: str) -> Callable[[Test], Test]:
    """Mark a test as the one that holds the specification to these clauses; they must be verified on it."""
    wrong = [i for i in ids if i not in CLAUSES or CLAUSES[i].verified == "backends"]
    assert not wrong, f"{wrong} are no clauses that are verified on the specification"
    return lambda test: test
