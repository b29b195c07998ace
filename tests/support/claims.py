"""The decorator that records which clauses of the specification a test verifies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bnspec.clauses import CLAUSES

Test = TypeVar("Test", bound=Callable[..., Any])


def verifies(*ids: str) -> Callable[[Test], Test]:
    """Declare that a test verifies these clauses, which must be verified on the specification."""
    wrong = [i for i in ids if i not in CLAUSES or CLAUSES[i].verified == "backends"]
    assert not wrong, f"{wrong} are not clauses verified on the specification"
    return lambda test: test
