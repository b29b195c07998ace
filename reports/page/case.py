"""A saved case as a reader sees it: its configuration, its steps, and its arrays as small tables."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.files import case_text
from bnspec.reports.run.store import Run

#: Larger arrays are described, not listed; larger files are not carried in the page.
LISTED_ELEMENTS, LISTED_CHANNELS, CARRIED_BYTES = 64, 16, 1 << 16


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value; ``hot`` where the evidence points."""

    text: str
    hot: bool = False


@dataclasses.dataclass(frozen=True)
class Block:
    """Arrays that share a table: columns are channels.

    Attributes:
        caption: name, dtype, shape and memory layout; or "per channel".
        columns: the heads of the columns; rows: each with its head. Both empty where the values are only described.
        note: the description.
    """

    caption: str
    columns: Sequence[str] = ()
    rows: Sequence[tuple[str, Sequence[Cell]]] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class CaseView:
    """A case for the page; ``problem`` says why there is none."""

    path: str
    problem: str = ""
    subject: str = ""
    config: Sequence[tuple[str, str]] = ()
    steps: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    origin: Sequence[tuple[str, str]] = ()
    download: str = ""


def view_case(runs: Sequence[Run], path: str, evidence: Evidence | None = None) -> CaseView:
    """The saved case at ``path`` in one of the runs; ``evidence`` says which element to point at."""
    folder = next((run.path for run in runs if (run.path / path).is_file()), None)
    if folder is None:
        return CaseView(path, "The file of this case is missing from the run directory.")
    try:
        text = case_text(folder, path)
        case = Case.loads(text)
    except UsageError as error:
        return CaseView(path, f"The file of this case cannot be read: {error}")
    carried = len(text) <= CARRIED_BYTES
    return CaseView(
        path,
        subject=case.subject.replace("_", " "),
        config=[(k.replace("_", " "), _word(v)) for k, v in dataclasses.asdict(case.config).items()],
        steps=[_step(s.call.name, s.inputs, s.fresh) for s in case.steps],
        blocks=_blocks(case, _point(case, evidence)),
        origin=[(str(k).replace("_", " "), _word(v)) for k, v in case.origin.items()],
        download=Markup("data:application/json;base64," + base64.b64encode(text.encode()).decode() if carried else ""),
    )


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _step(call: str, inputs: Sequence[str], fresh: bool) -> str:
    return f"{call}({', '.join(inputs)})" + (" on a fresh layer" if fresh else "")


@dataclasses.dataclass(frozen=True)
class _Point:
    """Where the evidence points: a channel, and a full index into the arrays that its step takes."""

    channel: int | None = None
    index: tuple[int, ...] | None = None
    arrays: tuple[str, ...] = ()


def _point(case: Case, evidence: Evidence | None) -> _Point:
    """What the evidence says of it, which may be nothing."""
    if evidence is None or evidence.index is None:
        return _Point()
    index, step = evidence.index, evidence.step
    if len(index) != case.config.rank:
        return _Point(index[0] if len(index) == 1 else None)
    arrays = case.steps[step].inputs if step < len(case.steps) else ()
    return _Point(index[case.config.channel_axis], index, arrays)


def _blocks(case: Case, point: _Point) -> list[Block]:
    """Every array: those of shape (C,) together, the others each in a table of its own."""
    specs = case.header()[0]["arrays"]
    owners: dict[int, list[str]] = {}
    for name, spec in specs.items():
        owners.setdefault(spec["buffer"], []).append(name)
    channels = case.config.channels
    flat = {n: a for n, a in case.arrays.items() if a.ndim == 1}
    blocks = []
    for name, array in case.arrays.items():
        if name not in flat:
            shared = [n for n in owners[specs[name]["buffer"]] if n != name]
            blocks.append(_block(case, name, f"{_layout(specs[name], array)}{_shared(shared)}", point))
    if flat and channels <= LISTED_CHANNELS:
        rows = [(n, [Cell(_number(v), i == point.channel) for i, v in enumerate(a)]) for n, a in flat.items()]
        blocks.append(Block(f"per channel, {case.config.parameter_dtype}", _heads(channels), rows))
    elif flat:
        blocks += [Block(f"{n}: {a.dtype.name}, shape {a.shape}", note=_described(a)) for n, a in flat.items()]
    return blocks


def _block(case: Case, name: str, layout: str, point: _Point) -> Block:
    """An array of x's rank: a row for each position, a column for each channel; of another rank, a column along its last axis."""
    array = case.arrays[name]
    caption = f"{name}: {array.dtype.name}, shape {array.shape}, {layout}"
    if array.ndim == 0:
        return Block(caption, note=_number(array[()]))
    axis = case.config.channel_axis if array.ndim == case.config.rank else array.ndim - 1
    if array.size == 0 or array.size > LISTED_ELEMENTS or array.shape[axis] > LISTED_CHANNELS:
        return Block(caption, note=_described(array))
    rows = []
    for position in np.ndindex(*(n for i, n in enumerate(array.shape) if i != axis)):
        index = [(*position[:axis], c, *position[axis:]) for c in range(array.shape[axis])]
        head = ", ".join(map(str, (*position[:axis], ":", *position[axis:])))
        rows.append((f"[{head}]", [Cell(_number(array[i]), name in point.arrays and i == point.index) for i in index]))
    named = array.shape[axis] == case.config.channels
    return Block(caption, _heads(array.shape[axis]) if named else [str(c) for c in range(array.shape[axis])], rows)


def _heads(channels: int) -> list[str]:
    return [f"channel {c}" for c in range(channels)]


def _number(value: Any) -> str:
    """The shortest text that reads back as the same value of its dtype."""
    return str(value)


def _described(array: np.ndarray) -> str:
    """An array too large to list, in a sentence."""
    if array.size == 0:
        return "no elements"
    with np.errstate(all="ignore"):
        wide = array.astype(np.float64)
        facts = f"smallest {wide.min():.6g}, largest {wide.max():.6g}, mean {wide.mean():.6g}"
    return f"{array.size} elements: {facts}. The values are in the case file."


def _layout(spec: Mapping[str, Any], array: np.ndarray) -> str:
    """Where the elements lie in memory."""
    if array.size == 0 or array.flags.c_contiguous:
        return "C order" + (f" from byte {spec['offset']}" if spec["offset"] else "")
    strides = ", ".join(str(s) for s in spec["strides"])
    order = "Fortran order, " if array.flags.f_contiguous else ""
    return f"{order}strides ({strides}) bytes from byte {spec['offset']}"


def _shared(names: Sequence[str]) -> str:
    return f", memory shared with {', '.join(names)}" if names else ""
