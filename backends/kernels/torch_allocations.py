"""Guards what a launcher allocates with torch in a call: torch.empty_like(x) for its result lies between red zones, too.

Runs in workers: Python 3.8, standard library, NumPy and torch.
"""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, List

from bnspec.backends.kernels.guarded import NAN, Guarded
from bnspec.backends.kernels.watch import STALE, Fills, allocation

#: Functions that allocate, by whether what they give is filled.
EMPTY = ("empty", "empty_like", "new_empty")
FILLED = ("zeros", "zeros_like", "ones", "full", "full_like", "new_zeros")


class TorchAllocations:
    """Contexts in which torch's allocations are guarded."""

    def __init__(self, arrays: Any) -> None:
        self.arrays, torch = arrays, arrays.torch
        names = (*EMPTY, *FILLED)
        self.allocating = {getattr(owner, n): n for n in names for owner in (torch, torch.Tensor) if hasattr(owner, n)}

    @contextlib.contextmanager
    def __call__(self, fills: Fills) -> Iterator[List[Guarded]]:
        """Guard the allocations on the CPU until the end of the context."""
        from torch.overrides import TorchFunctionMode

        made: List[Guarded] = []
        outer = self

        class Mode(TorchFunctionMode):
            """Hands guarded memory out."""

            def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                result = function(*args, **(kwargs or {}))
                name = outer.allocating.get(function, "")
                if not name or result.device.type != "cpu" or not result.numel() or result.requires_grad:
                    return result
                return outer.guarded(result, name in EMPTY, made, fills)

        with Mode():
            yield made

    def guarded(self, tensor: Any, empty: bool, made: List[Guarded], fills: Fills) -> Any:
        """The tensor in guarded memory; what it is not filled with is NaN."""
        name = allocation(len(made))
        places = (fills.get(("before", name), NAN), fills.get(("after", name), NAN))
        memory = Guarded(self.arrays.taken(tensor), False, places)
        if empty and tensor.dtype.is_floating_point:
            memory.stale = fills.get(("stale", name), NAN)
            memory.array[...] = STALE[memory.stale]
        made.append(memory)
        return self.arrays.given(memory.array)
