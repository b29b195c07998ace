"""Layouts as features: where arrays lie, and the same arrays packed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from bnspec.conformance.cases.shrinking import PER_CHANNEL, is_derived
from bnspec.conformance.causes.arrays import cotangents_of, inputs_of, packed, with_arrays
from bnspec.conformance.causes.feature import Feature
from bnspec.model.buffers import pack
from bnspec.model.case import Case


def _views(case: Case, among: Iterable[str]) -> list[str]:
    """Those arrays that are not packed at the start of a buffer of their own."""
    specs, _ = pack(case.arrays)
    users = Counter(s["buffer"] for n, s in specs.items() if not is_derived(n))
    return [
        n
        for n in among
        if n in specs and (specs[n]["offset"] or users[specs[n]["buffer"]] > 1 or not case.arrays[n].flags.c_contiguous)
    ]


def _layout(name: str, chosen: Callable[[Case], list[str]], changes: frozenset[str] = frozenset()) -> Feature:
    """The feature. A part of x, or what is derived from it, stays one, wherever it begins and however it lies: what is left of its layout is not known to be needed or not."""

    def value(case: Case, step: int) -> str:
        specs = pack(case.arrays)[0]
        views = _views(case, chosen(case))
        if name == "layout of x":
            parts = [n for n in case.steps[step].inputs if is_derived(n) and n in specs]
            views += [n for n in parts if specs[n]["offset"] or not case.arrays[n].flags.c_contiguous]
        return "; ".join(f"{n} strides {tuple(specs[n]['strides'])} offset {specs[n]['offset']}" for n in views)

    def changed(case: Case, _: int) -> Case | None:
        return with_arrays(case, {n: packed(case.arrays[n]) for n in _views(case, chosen(case))})

    return Feature(name, "packed", value, changed, changes)


#: Arrays of another shape are packed: what needs a layout may not need the shape.
LAYOUTS = frozenset({"layout of x", "layout of dy"})
LAYOUT_FEATURES = (
    _layout("layout of x", inputs_of),
    _layout("layout of dy", cotangents_of),
    # beside packed parameters, arrays of the same buffer begin elsewhere
    _layout("layout of the parameters", lambda case: [n for n in PER_CHANNEL if n in case.arrays], LAYOUTS),
)
