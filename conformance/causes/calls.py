"""Calls as features: what came before, the threads, and where the layer's values are from."""

from __future__ import annotations

import dataclasses
from typing import Any

from bnspec.conformance.cases.shrinking import PER_CHANNEL, with_steps
from bnspec.conformance.causes.feature import Feature
from bnspec.model.case import SEPARATOR, Case, Step

#: Of a call in a history: it must be refused.
MALFORMED = "malformed"


def _history_value(case: Case, step: int) -> str:
    """The calls on the layer before this one."""
    earlier = [
        f"{MALFORMED} {s.call.name}" if s.refused else s.call.name for s in case.steps[case.built_at(step) : step]
    ]
    return f"after {', '.join(earlier)}" if earlier else ""


def _without_history(case: Case, step: int) -> Case | None:
    """The call on a new layer: built as that one was, and asked for what it was asked for."""
    built, asked = case.steps[case.built_at(step)], dict(case.steps[step].options).get("wanted")
    options = tuple((n, v) for n, v in built.options if n != "wanted") + ((("wanted", asked),) if asked else ())
    alone = dataclasses.replace(case.steps[step], fresh=True, options=options)
    return None if alone.call.between else next(with_steps(case, (alone,)), None)


def _threads_value(case: Case, _: int) -> str:
    """The number of threads, the largest of all layers: a clause may compare two, and the added calls take it."""
    count = max(int(step.option("threads") or 1) for step in case.steps)
    return f"{count} threads" if count != 1 else ""


def _one_thread(case: Case, _: int) -> Case | None:
    """The same steps with one thread each: without a number, a process keeps the one that was set before."""

    def single(step: Step) -> Step:
        return dataclasses.replace(step, options=tuple((n, 1 if n == "threads" else v) for n, v in step.options))

    return next(with_steps(case, tuple(single(step) for step in case.steps)), None)


def _own_settings(case: Case, step: int) -> tuple[tuple[str, Any], ...]:
    """The settings of a call on a new layer that are other ones than the case's."""
    if case.steps[step].refused:
        return ()  # malformed parameters are no layer's
    own = case.overrides(step) if case.built_at(step) == step else ()
    return tuple((n, v) for n, v in own if n != "initial")


def _own_settings_value(case: Case, step: int) -> str:
    """Which settings they are: a call that is compared with another may have its own."""
    return f"its own {', '.join(n for n, _ in _own_settings(case, step))}" if _own_settings(case, step) else ""


def _as_the_only_call(case: Case, step: int) -> Case | None:
    """The call alone, with its arrays and settings as those of the case."""
    own, made = _own_settings(case, step), case.steps[step]
    inputs = tuple(n.split(SEPARATOR)[0] for n in made.inputs)
    if case.subject != "batch_norm" or len(set(inputs)) < len(inputs) or any(n.endswith("]") for n in inputs):
        return None
    given = case.overridden(own)
    arrays = {n: a for n, a in given.arrays.items() if n in PER_CHANNEL}
    arrays.update({n: case.arrays[whole] for n, whole in zip(inputs, made.inputs)})
    options = tuple((n, v) for n, v in made.options if n not in dict(own))
    alone = (dataclasses.replace(made, inputs=inputs, options=options),)
    return case.with_(arrays=arrays, config=given.config, steps=alone)


def _initial_value(case: Case, step: int) -> str:
    """Whether the layer starts from its own values."""
    return "the layer's own" if case.steps[case.built_at(step)].option("initial") else ""


def _given_values(case: Case, _: int) -> Case | None:
    """The same steps on layers that are given their values."""

    def given(step: Step) -> Step:
        return dataclasses.replace(step, options=tuple((n, v) for n, v in step.options if n != "initial"))

    return next(with_steps(case, tuple(given(step) for step in case.steps)), None)


OWN_SETTINGS = Feature("settings of the call", "those of the case", _own_settings_value, _as_the_only_call)
THREADS = Feature("threads", "1 thread", _threads_value, _one_thread)
HISTORY = Feature("history", "a new layer", _history_value, _without_history)
INITIAL_VALUES = Feature("initial values", "given parameters and state", _initial_value, _given_values)
