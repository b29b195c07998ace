"""The statements of a script put together: the steps that are needed, in order, and the assertion."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Any

from bnspec.backends.harness.scripts.statements import Lines, Statement, block, names_read, source
from bnspec.backends.harness.scripts.writer import Writer, names_of, python_name
from bnspec.conformance.repro.assertion import EXPECTED, STATE, Assertion
from bnspec.model.call import Call
from bnspec.model.case import PARAMETERS, SETTINGS, SURROUNDINGS, Case, Step


def every_step(case: Case, assertion: Assertion) -> tuple[Case, Assertion]:
    """The case and the assertion as they are."""
    return case, assertion


def without_idle(case: Case, assertion: Assertion) -> tuple[Case, Assertion]:
    """The case without the calls that, by the equations, leave nothing behind that is read later.

    An inference leaves the layer as it is. So does a training step but for the statistics, which no training result depends on.
    """
    read = [case.steps[k].call for k in assertion.names]
    by_state = assertion.wanted in (*STATE, "state") or not all(call.mode == "training" for call in read)

    def is_idle(call: Call) -> bool:
        leaves_nothing = call.mode == "inference" or call.kind in ("transform", "inverse")
        return leaves_nothing or (call.mode == "training" and not by_state)

    kept: list[int] = []
    steps: list[Step] = []
    unbuilt: Options | None = None  # how the layer is built, where the call that builds it has been left out
    for k, step in enumerate(case.steps[: assertion.last + 1]):
        if step.fresh or k == 0:
            unbuilt = None
        if unbuilt is not None:
            step = dataclasses.replace(step, fresh=True, options=(*unbuilt, *step.options))
        builds = (step.fresh or k == 0) and case.steps[min(k + 1, assertion.last)].call.between
        if k in assertion.names or builds or not is_idle(step.call):
            kept.append(k)
            steps.append(step)
            unbuilt = None
        elif step.fresh or k == 0:
            unbuilt = tuple(o for o in step.options if o[0] in BUILDING)
    names = {kept.index(k): name for k, name in assertion.names.items()}
    return case.with_(steps=tuple(steps)), dataclasses.replace(assertion, names=names)


Options = tuple[tuple[str, Any], ...]
#: The options of a step that say how its layer is built.
BUILDING = (*PARAMETERS, *SETTINGS, *SURROUNDINGS)


def needed(case: Case, read: Sequence[int]) -> list[int]:
    """The steps to perform: for each that is read all since its layer was built."""
    return sorted({j for k in read for j in range(case.built_at(k), k + 1)})


def pruned(case: Case, assertion: Assertion) -> tuple[Case, Assertion]:
    """The case with the needed steps alone, and the assertion by their new numbers."""
    kept = needed(case, sorted(assertion.names))
    names = {kept.index(k): name for k, name in assertion.names.items()}
    return case.with_(steps=tuple(case.steps[k] for k in kept)), dataclasses.replace(assertion, names=names)


def paragraphs(writer: Writer, assertion: Assertion, may_raise: Callable[[Step], bool]) -> list[Lines]:
    """The imports, the calls on the layer with their arrays, the assertion. ``may_raise``: whether a step on the way ends with an exception."""
    case, first, last = writer.given_case, min(assertion.names), assertion.last
    calls: list[Statement | str] = []
    for k, step in enumerate(case.steps[: last + 1]):
        started = writer.begin(k) if step.fresh or k == 0 else ()
        performed = writer.perform(step, assertion.names.get(k, "y"))
        if k < last:
            performed = guarded(writer, performed, [EXPECTED]) if may_raise(step) else performed
            calls += [*started, *performed, *(assertion.between(writer) if k == first else ())]
            continue
        before = assertion.before(writer)
        if assertion.caught and last == 0 and not before:  # building the layer may be what raises
            started, performed = (), [*started, *performed]
        tried = guarded(writer, performed, assertion.caught) if assertion.caught else performed
        calls += [*started, *before, *tried]
    asserted = assertion.after(writer)
    read = names_read("\n".join(source([*calls, *asserted])))
    calls = [*arrays(writer, read), *calls]
    return [[*imports(writer, [*calls, *asserted]), *writer.preamble()], calls, asserted]


def guarded(writer: Writer, performed: Lines, clauses: Sequence[Statement]) -> Lines:
    """The statements under ``try``, with these ``except`` clauses."""
    if writer.compact and clauses == [EXPECTED]:
        writer.extra.append("contextlib")
        inner = performed[0] if len(performed) == 1 else None
        if isinstance(inner, Statement) and inner.text.startswith("with "):
            return [block(f"with contextlib.suppress(Exception), {inner.text[5:]}", inner.body)]
        return [block("with contextlib.suppress(Exception):", performed or ["pass"])]
    return [block("try:", performed or ["pass"]), *clauses]


def arrays(writer: Writer, read: Collection[str]) -> Lines:
    """A statement for each array that the steps take and the script reads; parts of x are cut out where they are used."""
    names = list(dict.fromkeys(n for s in writer.given_case.steps if not s.call.between for n in names_of(s)))
    lines, found = [], set[str]()
    if writer.chunks and "chunks" in read:
        lines.append(f"chunks = [{', '.join(writer.array(n) for n in writer.chunks)}]")
    for name in names:
        base = name.partition("[")[0] if writer.is_part(name) else name
        if name not in writer.chunks and base not in found and python_name(base) in read:
            found.add(base)
            lines.append(f"{python_name(base)} = {writer.array(base)}")
    return lines


def imports(writer: Writer, made: Lines) -> Lines:
    """The imports that the statements need."""
    numpy = ["import numpy as np"] if "np" in names_read("\n".join(source(made))) else []
    return [*(f"import {name}" for name in sorted(set(writer.extra))), *numpy, *writer.imports]
