"""Builds test-vector documents from plans: inputs, exact expected values, and the bound of each element.

A value is stored as two float64 numbers, float64(value) and the remainder: about 106 of the oracle's 113 bits. Bounds come in
two tiers (see docs/decisions/0004): "lenient" judges a MUST, "permissive" a SHOULD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bnspec import __version__
from bnspec.arithmetic.quad import double, quad
from bnspec.bounds.batch_norm import ROOM
from bnspec.clauses import CLAUSES
from bnspec.conformance.vectors.plan import ABOUT, FLAGS, VectorPlan
from bnspec.conformance.vectors.table import FAMILIES
from bnspec.model.case import PARAMETERS, Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import RUNNING, Expected, Oracle

SCHEMA = "bnspec-vectors/1"
TIERS: tuple[Tier, ...] = ("permissive", "lenient")
#: Acceptance codes of an element; an output without the array "accept" has WITHIN everywhere.
WITHIN, IS_NAN, ANYTHING, IS_FINITE = range(4)
ACCEPT = {
    "0": "within the bound; an infinity of the value's sign where |value| + bound exceeds the dtype's largest number; anything "
    "where the bound is infinite",
    "1": "NaN",
    "2": "anything",
    "3": "any finite number",
}
ASSUMPTIONS = {
    "epsilon": "used as given, as a float64",
    "decay": "the weight that the old running value keeps; where a framework's momentum weighs the new value it is 1 - momentum",
    "normalising_correction": "0: the variance that normalises has the divisor m",
    "running_correction": "running_var is given for both: correction 0 (divisor m) and 1 (divisor m - 1)",
    "precision": "permissive: float16 and bfloat16 data are computed in float32; lenient: in their own dtype",
    "underflow": "numbers below the smallest normal one may be flushed to zero: the bounds have room for it",
}
#: Conventions for each running correction; ASSUMPTIONS states the rest.
SUITES = tuple(Conventions(running_correction=c, count_one="raises") for c in (0, 1))
Arrays = dict[str, np.ndarray]


def family_document(family: str) -> tuple[dict[str, Any], Arrays]:
    """A family's vectors as JSON-ready data, and their arrays."""
    arrays: Arrays = {}
    vectors = [vector_document(plan, arrays) for plan in FAMILIES[family]()]
    used = {flag for v in vectors for flag in v["flags"]}
    document = {
        "schema": SCHEMA,
        "bnspec": __version__,
        "family": family,
        "about": ABOUT[family],
        "arrays": f"{family}.safetensors",
        "assumptions": ASSUMPTIONS,
        "accept": ACCEPT,
        "largest": {name: number(p.largest) for name, p in PRECISIONS.items()},
        "flags": {name: text for name, text in FLAGS.items() if name in used},
        "vectors": vectors,
    }
    return document, arrays


def vector_document(plan: VectorPlan, arrays: Arrays) -> dict[str, Any]:
    """One vector; its arrays are added to ``arrays`` under its id."""
    case, config = plan.case(), plan.case().config
    named = {n for s in plan.steps or case.steps for n in s.inputs} | (set(PARAMETERS) & case.arrays.keys())
    keys = {n: _add(arrays, f"{plan.id}/{n}", case.arrays[n]) for n in case.arrays if n in named}
    calls = (
        input_calls(plan, case, keys, arrays) if case.subject == "input_norm" else norm_calls(plan, case, keys, arrays)
    )
    return {
        "id": plan.id,
        "purpose": plan.purpose,
        "clauses": [{"id": c, "level": CLAUSES[c].level} for c in plan.clauses],
        "flags": list(plan.flags),
        "subject": case.subject,
        "config": {
            "rank": config.rank,
            "channel_axis": config.channel_axis,
            "channels": config.channels,
            "epsilon": number(config.epsilon),
            "decay": number(config.decay),
            "dtype": config.dtype,
            "parameter_dtype": config.parameter_dtype,
            "affine": config.affine,
        },
        "parameters": {n: keys.get(n) for n in PARAMETERS},
        "calls": calls,
    }


def number(value: float) -> dict[str, str]:
    """A float64 in two exact notations: the shortest round-trip decimal, and hexadecimal."""
    return {"decimal": repr(value), "hex": value.hex()}


def _add(arrays: Arrays, key: str, array: np.ndarray) -> str:
    arrays[key] = np.ascontiguousarray(array)
    return key


def record(
    arrays: Arrays, key: str, dtype: str, expected: Expected, accept: np.ndarray | None = None
) -> dict[str, Any]:
    """One expected output; elements that are not judged have NaN as value and bounds."""
    value = double(expected.value)
    codes = np.zeros(value.shape, np.uint8) if accept is None else np.broadcast_to(accept, value.shape).astype(np.uint8)
    codes = np.where(~np.isfinite(value) & (codes == WITHIN), np.uint8(ANYTHING), codes)
    said = codes == WITHIN
    with np.errstate(invalid="ignore"):
        rest = double(expected.value - quad(value))
    entry: dict[str, Any] = {
        "dtype": dtype,
        "value": _add(arrays, f"{key}/value", np.where(said, value, np.nan)),
        "residual": _add(arrays, f"{key}/residual", np.where(said, rest, 0.0)),
    }
    least = np.zeros(value.shape)
    for tier in TIERS:  # the lenient tier admits whatever the permissive tier admits
        bound = least = np.maximum(least, expected.bounds[tier])
        entry[tier] = _add(arrays, f"{key}/{tier}", np.where(said, np.where(np.isnan(bound), np.inf, bound), np.nan))
    entry["accept"] = _add(arrays, f"{key}/accept", codes) if codes.any() else None
    return entry


# --- batch normalization ----------------------------------------------------------------------------------------------


def norm_calls(plan: VectorPlan, case: Case, keys: Mapping[str, str], arrays: Arrays) -> list[dict[str, Any]]:
    """The calls of a batch-normalization vector with their expected outputs."""
    oracle, calls = Oracle(case), []
    states: list[Mapping[str, Expected]] = [{}, {}]
    for i, step in enumerate(plan.steps):
        count = case.arrays[step.inputs[0]].size // case.config.channels
        both = [
            oracle.expect(step, case.arrays, p) if step.fresh else following(oracle, step, p, before)
            for p, before in zip(SUITES, states, strict=True)
        ]
        states = [*both]
        if count <= 1 and step.call.mode == "training":
            both = [{**unmoved(case), **answers} for answers in both]
        names = {"x": keys[step.inputs[0]], **({"dy": keys[step.inputs[1]]} if len(step.inputs) == 2 else {})}
        calls.append(
            {
                "mode": step.call.mode,
                "inputs": names,
                "continues": not step.fresh,
                "outcomes": ["result", "error"] if count <= 1 and step.call.mode == "training" else ["result"],
                "expected": outputs(case, step, both, f"{plan.id}/{i}", arrays),
            }
        )
    return calls


def outputs(
    case: Case, step: Step, both: Sequence[Mapping[str, Expected]], key: str, arrays: Arrays
) -> list[dict[str, Any]]:
    """The expected outputs of a call; in training, running_var once per correction."""
    config, found = case.config, []
    trained = step.call.mode == "training"
    for name in ("y", "dx", "dgamma", "dbeta", *RUNNING):
        corrections = (0, 1) if name == "running_var" and trained else (0,)
        for c in corrections:
            if name not in both[c]:
                continue
            dtype = config.dtype if name in ("y", "dx") else config.parameter_dtype
            suffix = f"_correction{c}" if len(corrections) > 1 else ""
            entry = record(arrays, f"{key}/{name}{suffix}", dtype, both[c][name], accepted(case, step, name, c))
            found.append({"output": name, "correction": c if suffix else None, **entry})
    return found


def accepted(case: Case, step: Step, name: str, correction: int) -> np.ndarray | None:
    """Outcomes accepted instead of a bounded value: NaN throughout a non-finite channel; any finite running statistic of an
    empty batch; any finite running variance of one value, for which the divisor m - 1 is undefined.
    """
    x = case.arrays[step.inputs[0]].astype(np.float64)
    count = x.size // case.config.channels
    if step.call.mode != "training":
        return None
    if name in RUNNING and (count == 0 or (count == 1 and name == "running_var" and correction == 1)):
        return np.asarray(IS_FINITE)
    if name != "y" or count == 0:
        return None
    poisoned = ~np.isfinite(x).all(axis=case.config.reduce_axes, keepdims=True)
    return np.broadcast_to(np.where(poisoned, IS_NAN, WITHIN), x.shape) if poisoned.any() else None


def unmoved(case: Case) -> dict[str, Expected]:
    """The previous state, for statistics that do not exist for a batch of one value or none."""
    none = dict.fromkeys(TIERS, np.zeros(case.config.channels))
    return {n: Expected(quad(case.arrays[n]), none) for n in RUNNING}


def following(
    oracle: Oracle, step: Step, conventions: Conventions, before: Mapping[str, Expected]
) -> dict[str, Expected]:
    """The expected outputs of a training step after another conforming step, whose state may be off by its bound.

    running'  = decay running + (1 - decay) batch, exactly; its bound grows by decay times the bound of running.
    """
    decay = oracle.case.config.decay
    held = {n: double(before[n].value) for n in RUNNING}
    largest = {n: held[n] + np.copysign(before[n].bounds["lenient"], held[n]) for n in RUNNING}
    found, own = dict(oracle.expect(step, held, conventions)), oracle.expect(step, largest, conventions)
    for name in RUNNING:
        value = found[name].value + quad(decay) * (before[name].value - quad(held[name]))
        per_tier = {t: (own[name].bounds[t] + decay * before[name].bounds[t]) * ROOM for t in TIERS}
        found[name] = Expected(value, per_tier)
    return found


# --- input normalization ----------------------------------------------------------------------------------------------


def input_calls(plan: VectorPlan, case: Case, keys: Mapping[str, str], arrays: Arrays) -> list[dict[str, Any]]:
    """The calls of an input-normalization vector: fits, and transforms and inverses with given statistics."""
    oracle, conventions, dtype = Oracle(case), SUITES[0], case.config.dtype
    fitted = oracle.expect(case.steps[0], {}, conventions)
    given = {n: double(fitted[n].value).astype(case.arrays["x"].dtype) for n in ("mean", "var")}
    statistics = {n: _add(arrays, f"{plan.id}/{n}", a) for n, a in given.items()}
    calls = []
    for i, step in enumerate(dict.fromkeys(Step(s.call, s.inputs) for s in case.steps)):
        fits = step.call.kind == "fit"
        named = (
            {"chunks": [keys[n] for n in step.inputs]}
            if fits
            else {("y" if step.call.kind == "inverse" else "x"): keys[step.inputs[0]]}
        )
        expected = []
        for name, answer in oracle.expect(step, {} if fits else given, conventions).items():
            settled, codes = (answer, None) if fits else constant_features(case, step, answer)
            expected.append(
                {"output": name, "correction": None, **record(arrays, f"{plan.id}/{i}/{name}", dtype, settled, codes)}
            )
        calls.append(
            {
                "mode": step.call.name,
                "inputs": named if fits else {**named, **statistics},
                "continues": False,
                "outcomes": ["result"],
                "expected": expected,
            }
        )
    return calls


def constant_features(case: Case, step: Step, answer: Expected) -> tuple[Expected, np.ndarray | None]:
    """Features with an undetermined scale (NaN bounds): within 1 of 0 at the training value of a constant feature, else finite."""
    unbounded = np.isnan(np.broadcast_to(answer.bounds["lenient"], answer.value.shape))
    if not unbounded.any():
        return answer, None
    x = case.arrays["x"].astype(np.float64)
    still = np.ptp(x, axis=case.config.reduce_axes, keepdims=True) == 0.0
    at_value = unbounded & still & (step.inputs == ("x",))
    value = np.where(at_value, quad(0.0), answer.value)
    per_tier = {t: np.where(at_value, 1.0, answer.bounds[t]) for t in TIERS}
    return Expected(value, per_tier), np.where(unbounded & ~at_value, IS_FINITE, WITHIN)
