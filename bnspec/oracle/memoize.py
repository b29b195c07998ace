"""A memoizing decorator for methods, whose cache lasts as long as the object."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


def remembered(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """The method, computed once per object and arguments (which must be hashable).

    Unlike ``functools.lru_cache`` on a method, objects do not evict each other's results, and results are freed with their object.
    """
    slot = f"_remembered_{method.__name__}"

    def once(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        known: dict[Any, R] | None = self.__dict__.get(slot)
        if known is None:
            known = self.__dict__.setdefault(slot, {})
        key = (args, *kwargs.items()) if kwargs else args
        if key not in known:
            known[key] = method(self, *args, **kwargs)
        return known[key]

    functools.update_wrapper(once, method)
    return once
