"""Watches the calls of code that handles raw memory: what it writes beside its arrays, and what it reads there.

Every array of a call is copied between red zones; results are filled with NaN. Writing shows in a zone. Reading shows in the results:
the call is repeated with another number in the zones and in the results before the call, and where it then gives other bits, and the same
again for the same filling, each zone is changed alone to find the one that was read.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from bnspec.backends.kernels.guarded import FINITE, NAN, PLACES, Guarded

#: Bytes of all arrays of a call up to which it is repeated: the repetitions look for reads.
REPEATED_BYTES = 1 << 20
Run = Callable[[Dict[str, Any]], Dict[str, Any]]
#: What a result holds before a call, by the filling of the zones: other bits, so that one is not taken for the other.
STALE = {NAN: np.nan, FINITE: 5.5}
#: What may be filled: (place, role), the place "before", "after" or "stale".
Zone = Tuple[str, str]


class Watch:
    """The overruns of the calls since the last question.

    Args:
        packed: whether the code takes packed arrays only.
    """

    def __init__(self, packed: bool) -> None:
        self.packed, self.found = packed, {}  # type: bool, Dict[str, None]

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
        first = _Call(run, values, arrays, outputs, self.packed, {})
        for role, places in first.written.items():
            self.found.update(dict.fromkeys("writes %s %s" % (place, role) for place in places))
        for role, array in arrays.items():
            guarded = first.memory[role].array
            if guarded.tobytes() != array.tobytes():
                array[...] = guarded
        if sum(a.nbytes for a in arrays.values()) <= REPEATED_BYTES:
            self.found.update(dict.fromkeys(self.reads(run, values, arrays, outputs, first)))
        return {n: arrays[n] if n in outputs and n in arrays else v for n, v in first.results.items()}

    def reads(
        self,
        run: Run,
        values: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        outputs: Tuple[str, ...],
        first: _Call,
    ) -> List[str]:
        """What was read beside the arrays, or in results before they were written."""
        zones: List[Zone] = [(place, n) for n in arrays for place in PLACES] + [
            ("stale", n) for n in outputs if n in arrays
        ]
        finite = dict.fromkeys(zones, FINITE)

        def again(fills: Mapping[Zone, int]) -> _Call:
            # what the first call changed of its arguments is in them now: start again from what they were
            return _Call(run, {**values, **first.originals}, first.originals, outputs, self.packed, fills)

        base = again(finite)
        if base.same(first) or not again({}).same(first):
            return []
        return ["reads %s %s" % zone for zone in zones if not again({**finite, zone: NAN}).same(base)]


class _Call:
    """One call on fresh memory. ``fills``: the bytes in zones and results before it, NaN where nothing is said."""

    def __init__(
        self,
        run: Run,
        values: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        outputs: Tuple[str, ...],
        packed: bool,
        fills: Mapping[Zone, int],
    ) -> None:
        self.originals = {n: a.copy(order="K") for n, a in arrays.items()}
        self.memory: Dict[str, Guarded] = {}
        self.stale: Dict[str, int] = {}
        for name, array in arrays.items():
            made = Guarded(array, packed, (fills.get(("before", name), NAN), fills.get(("after", name), NAN)))
            self.memory[name] = made
            if name in outputs:
                self.stale[name] = fills.get(("stale", name), NAN)
                made.array[...] = STALE[self.stale[name]]
        results = run({**values, **{n: g.array for n, g in self.memory.items()}})
        self.written = {n: g.touched() for n, g in self.memory.items()}
        self.results = dict(results)
        self.bits = {n: (np.array(g.array), self.stale.get(n)) for n, g in self.memory.items()}
        self.bits.update({n: (np.array(v), None) for n, v in results.items() if n not in self.memory and v is not None})

    def same(self, other: _Call) -> bool:
        """Whether all results and arguments have the same bits afterwards, besides what neither call has written."""
        return all(_same(self.bits[n], other.bits[n]) for n in self.bits if n in other.bits)


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
