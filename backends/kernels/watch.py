"""Watches the calls of code that handles raw memory: what it writes beside its arrays, and what it reads there.

Every array of a call is copied between red zones; results are filled with NaN. Writing shows in a zone. Reading shows in the results:
the call is repeated with another number in the zones and in the results before the call, and where it then gives other bits, and the same
again for the same filling, halves of the zones are changed to find those that were read.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, ContextManager, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.guarded import FINITE, NAN, PLACES, Guarded
from bnspec.model.buffers import overlap

#: Bytes of all arrays of a call up to which it is repeated: the repetitions look for reads.
REPEATED_BYTES = 1 << 20
#: What a result holds before a call, by the filling of the zones: other bits, so that one is not taken for the other.
STALE = {NAN: np.nan, FINITE: 5.5}
Run = Callable[[Dict[str, Any]], Dict[str, Any]]
#: What may be filled: (place, role), the place "before", "after" or "stale".
Zone = Tuple[str, str]
Fills = Mapping[Zone, int]
#: What the code allocates itself, as far as that can be seen, is guarded too: a context that yields the list of it.
Allocating = Callable[[Fills], ContextManager[List[Guarded]]]


class Watch:
    """The overruns of the calls since the last question.

    Args:
        packed: whether the code takes packed arrays only.
        allocating: guards what the code allocates in a call; None where that cannot be seen.

    Attributes:
        repeats: whether calls are repeated to find what is read beside the arrays.
    """

    def __init__(self, packed: bool, allocating: Optional[Allocating] = None) -> None:
        self.packed, self.allocating = packed, allocating
        self.found: Dict[str, None] = {}
        self.repeats = True

    def overruns(self) -> Tuple[str, ...]:
        """What was found, once."""
        found, self.found = tuple(self.found), {}
        return found

    def call(self, run: Run, values: Mapping[str, Any], outputs: Tuple[str, ...]) -> Dict[str, Any]:
        """The results of a call between red zones; what it changed of its arguments is changed in them.

        Args:
            run: from arguments by role to results by role; values: the arguments; outputs: those that are results.
        """
        arrays = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
        originals = {n: a.copy(order="K") for n, a in arrays.items()}

        def again(fills: Fills) -> _Call:
            return _Call(self, run, {**values, **originals}, outputs, fills)

        first = again({})
        self.found.update(dict.fromkeys(first.written()))
        for role, array in arrays.items():
            guarded = first.memory[role].array
            if guarded.tobytes() != array.tobytes():
                array[...] = guarded
        if self.repeats and sum(a.nbytes for a in arrays.values()) <= REPEATED_BYTES:
            self.found.update(dict.fromkeys(reads(first, again)))
        return {
            n: arrays[n] if n in outputs and n in arrays else first.outside(v, arrays) for n, v in first.results.items()
        }


def reads(first: _Call, again: Callable[[Fills], _Call]) -> List[str]:
    """What else was written or read beside the arrays, or read in results before they were written; ``again`` repeats the call with other fillings."""
    finite = dict.fromkeys(first.zones, FINITE)
    base = again(finite)
    written = base.written()  # a NaN that was read and written on may have the bits of the zone that it fell into
    if base.same(first) or not again({}).same(first):
        return written

    def read(zones: List[Zone]) -> List[Zone]:
        """Those that are read: a call is repeated for several at once, as an interpreted one takes long."""
        if again({**finite, **dict.fromkeys(zones, NAN)}).same(base):
            return []
        half = len(zones) // 2
        return read(zones[:half]) + read(zones[half:]) if half else zones

    return written + ["reads %s %s" % (place, first.name(n)) for place, n in read(first.zones)]


class _Call:
    """One call on fresh memory. ``fills``: the bytes in zones and results before it, NaN where nothing is said."""

    def __init__(
        self, watch: Watch, run: Run, values: Mapping[str, Any], outputs: Tuple[str, ...], fills: Fills
    ) -> None:
        self.memory: Dict[str, Guarded] = {}
        self.stale: Dict[str, int] = {}
        for name, array in values.items():
            if not isinstance(array, np.ndarray):
                continue
            made = Guarded(array, watch.packed, (fills.get(("before", name), NAN), fills.get(("after", name), NAN)))
            self.memory[name] = made
            if name in outputs:
                self.stale[name] = fills.get(("stale", name), NAN)
                made.array[...] = STALE[self.stale[name]]
        nothing: ContextManager[List[Guarded]] = contextlib.nullcontext([])
        with nothing if watch.allocating is None else watch.allocating(fills) as allocated:
            results = run({**values, **{n: g.array for n, g in self.memory.items()}})
        self.results = dict(results)
        self.allocated = {allocation(i): made for i, made in enumerate(allocated)}
        self.bits = {n: (np.array(g.array), self.stale.get(n)) for n, g in self.memory.items()}
        self.bits.update({n: (np.array(v), None) for n, v in results.items() if n not in self.memory and v is not None})

    @property
    def zones(self) -> List[Zone]:
        """Everything that may be filled."""
        beside = [(place, n) for n in (*self.memory, *self.allocated) for place in PLACES]
        return beside + [
            ("stale", n) for n in (*self.stale, *(n for n, g in self.allocated.items() if g.stale is not None))
        ]

    def written(self) -> List[str]:
        """The zones that were written to."""
        listed = {**self.memory, **self.allocated}
        return ["writes %s %s" % (place, self.name(n)) for n, g in listed.items() for place in g.touched()]

    def name(self, name: str) -> str:
        """The name of memory for a person: what was allocated for a result is called by it."""
        made = self.allocated.get(name)
        if made is None:
            return name
        owner = next((n for n, v in self.results.items() if isinstance(v, np.ndarray) and overlap(v, made.array)), name)
        return {"0": "y"}.get(owner, "result_" + owner if owner.isdigit() else owner)

    def outside(self, result: Any, arrays: Mapping[str, np.ndarray]) -> Any:
        """A result that is one of the arguments, as that argument."""
        for name, made in self.memory.items():
            if isinstance(result, np.ndarray) and overlap(result, made.array) and result.shape == arrays[name].shape:
                return arrays[name]
        return result

    def same(self, other: _Call) -> bool:
        """Whether all results and arguments have the same bits afterwards, besides what neither call has written."""
        return all(_same(self.bits[n], other.bits[n]) for n in self.bits if n in other.bits)


def allocation(number: int) -> str:
    """The name of what was allocated in a call, by its number."""
    return "allocated_%d" % number


def _same(a: Tuple[np.ndarray, Any], b: Tuple[np.ndarray, Any]) -> bool:
    (x, left), (y, right) = a, b
    if x.shape != y.shape:
        return False
    one, two = (bits_of(v) for v in (x, y))
    differ = (one != two).any(axis=1)
    if left is not None and right is not None:
        unwritten = (bits_of(np.full(1, STALE[fill], x.dtype)) for fill in (left, right))
        differ &= ~np.logical_and(*((bits == fill).all(axis=1) for bits, fill in zip((one, two), unwritten)))
    return not bool(differ.any())


def bits_of(array: np.ndarray) -> np.ndarray:
    """The bytes of each element, as a row."""
    return np.frombuffer(array.tobytes(), np.uint8).reshape(-1, max(array.itemsize, 1))
