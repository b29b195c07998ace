"""Closed vocabularies: every run-time list of words matches its type."""

from __future__ import annotations

import ast
import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from bnspec.benchmarks.cheats import CHEATS
from bnspec.clauses import CLAUSES
from bnspec.clauses.clause import Level
from bnspec.conformance.cases import networks
from bnspec.conformance.repro.scripts import ReproStatus
from bnspec.conformance.stability.measuring import PointStatus
from bnspec.contract import Layer, Scaler
from bnspec.errors import UsageError
from bnspec.model import call as calls
from bnspec.model.call import BETWEEN, CALLS, KINDS, MODES, Call, call_named, call_of
from bnspec.model.case import Case, Step
from bnspec.model.conventions import CHOICES, Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.model.timing import Bandwidth, BandwidthCurve, PlainCopy, TimingResult
from bnspec.model.vocabulary import CaseSubject, MemoryAction, NetworkKind, Probe, Status, TargetStatus, Tier, TimedMode
from bnspec.oracle.expected import Expected
from bnspec.reports.run import records
from bnspec.reports.run.schema import schema
from bnspec.reports.run.vocabulary import Clock, ComparisonVerdict, FindingVerdict, IncidentStatus, TimingVerdict

#: Words of the schema, by record and field, and the type that the record's field has.
IN_SCHEMA = {
    ("target", "status"): TargetStatus,
    ("finding", "level"): Level,
    ("finding", "verdict"): FindingVerdict,
    ("incident", "status"): IncidentStatus,
    ("timing", "verdict"): TimingVerdict,
    ("timing", "clock"): Clock,
    ("roof", "action"): MemoryAction,
    ("comparison", "verdict"): ComparisonVerdict,
}
RECORDS: dict[str, Any] = {
    "target": records.TargetRecord,
    "finding": records.Finding,
    "incident": records.Incident,
    "timing": records.Timing,
    "roof": records.Roof,
    "comparison": records.Comparison,
}


@pytest.mark.parametrize(("kind", "field"), IN_SCHEMA, ids=".".join)
def test_the_schema_lists_the_words_of_the_type(kind: str, field: str) -> None:
    """Others read the schema: what it admits is what the field's type admits."""
    listed = schema()["$defs"][RECORDS[kind].__name__]["properties"][field]["enum"]
    assert sorted(listed) == sorted(get_args(IN_SCHEMA[kind, field]))
    assert get_type_hints(RECORDS[kind])[field] == IN_SCHEMA[kind, field]


def test_every_closed_list_of_words_in_these_records_has_a_type_here() -> None:
    """A new enumeration is added to the table above."""
    listed = {
        (kind, field)
        for kind, record in RECORDS.items()
        for field, rule in schema()["$defs"][record.__name__]["properties"].items()
        if field != "kind" and "enum" in rule
    }
    assert listed == set(IN_SCHEMA)


def test_choices_of_conventions_are_those_of_their_types() -> None:
    """Every word of a choice is accepted in its field, and any other is refused."""
    hints = get_type_hints(Conventions)
    worded = {n: get_args(t) for n, t in hints.items() if get_origin(t) is Literal and isinstance(get_args(t)[0], str)}
    assert worded == CHOICES
    assert len(CHOICES) == 13
    for field, words in CHOICES.items():
        for word in words:
            assert getattr(Conventions(**{field: word}), field) == word  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=field):
            Conventions(**{field: "no such word"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("owner", "field", "words"),
    [
        (Step, "call", Call),
        (Case, "subject", CaseSubject),
        (StepResult, "status", Status),
        (Observation, "status", Status),
    ],
)
def test_fields_of_the_model_have_the_types_of_their_words(owner: Any, field: str, words: Any) -> None:
    """A plain string would let a misspelt word pass the type check."""
    assert get_type_hints(owner)[field] == words


def test_words_that_clauses_and_bounds_use_are_those_of_their_types() -> None:
    """Levels of clauses, tiers of bounds, kinds of network and probes: none is missing, none is idle."""
    assert {c.level for c in CLAUSES.values()} == set(get_args(Level))
    assert get_type_hints(Expected)["bounds"].__args__[0] == Tier
    assert set(get_args(NetworkKind)) == {kind + ending for kind in networks.KINDS for ending in ("", "_plain")}
    assert {probe for _, probe in CHEATS.values()} == set(get_args(Probe)), "each probe has a cheat that it objects to"


#: The words that a value of this name may be among: where it is compared with one word, the type checker sees a typo; where it
#: is compared with several, it does not.
AMONG: dict[str, tuple[Any, ...]] = {
    "status": (Status, TargetStatus, IncidentStatus, PointStatus, ReproStatus),
    "verdict": (FindingVerdict, TimingVerdict, ComparisonVerdict),
    "level": (Level,),
    "tier": (Tier,),
    "mode": (calls.Mode, TimedMode),
    "kind": (calls.Kind,),
}


def words_of(kind: Any) -> set[str]:
    """The words of a Literal, or of a union of such."""
    return {w for k in get_args(kind) for w in ([k] if isinstance(k, str) else words_of(k))}


def among(tree: ast.AST) -> Iterator[tuple[str, int, set[str]]]:
    """Each comparison of a named value with several words: the name, the line, the words."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn)):
            continue
        listed, left = node.comparators[0], node.left
        name = left.attr if isinstance(left, ast.Attribute) else left.id if isinstance(left, ast.Name) else ""
        is_call = isinstance(left, ast.Attribute) and ast.unparse(left.value).split(".")[-1] in ("call", "c", "self")
        if name in AMONG and (name != "kind" or is_call) and isinstance(listed, ast.Tuple | ast.List | ast.Set):
            yield name, node.lineno, {e.value for e in listed.elts if isinstance(e, ast.Constant) and e.value}


def misspelt(text: str) -> list[str]:
    """The comparisons of a source text that name a word of no vocabulary."""
    wrong = []
    for name, line, words in among(ast.parse(text)):
        unknown = words - {w for kind in AMONG[name] for w in words_of(kind)}
        wrong += [f"line {line}: no {name} is {', '.join(sorted(unknown))}"] if unknown else []
    return wrong


def test_comparisons_with_several_words_name_words_that_exist() -> None:
    """``status in ("crashed", "timeot")`` would never be true of a worker that did not answer."""
    assert misspelt('end.status in ("crashed", "timeot")') == ["line 1: no status is timeot"]
    assert misspelt('step.call.kind not in ("fit", "lern")') == ["line 1: no kind is lern"]
    assert misspelt('verdict in ("conforms", "SLOWER") or form.kind in ("fitted", "whatever")') == []
    root = Path(__file__).resolve().parents[2]
    for folder in ("bnspec", "backends", "conformance", "benchmarks", "reports"):
        for path in sorted((root / folder).rglob("*.py")):
            assert not misspelt(path.read_text("utf-8")), path


# --- calls ------------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_call_and_every_call_a_constant() -> None:
    """``CALLS`` is complete, and the constants are its values by the same names."""
    assert {c.kind for c in CALLS.values()} == set(KINDS)
    assert {c.mode for c in CALLS.values()} == {*MODES, None}
    assert [getattr(calls, name.upper()) for name in CALLS] == list(CALLS.values())
    assert {c.kind for c in BETWEEN} == {"save_restore", "clone", "swap", "reset", "freeze", "unfreeze", "set_decay"}


def test_the_passes_are_methods_of_the_contract() -> None:
    """A call's name is what the worker looks up in the layer or the scaler."""
    for call in CALLS.values():
        if call.mode is not None:
            assert callable(getattr(Layer, call.name))
        elif call.kind in ("fit", "transform", "inverse"):
            assert callable(getattr(Scaler, call.name))


def test_a_call_leads_to_its_siblings() -> None:
    """Another mode, another kind, no mask; what does not exist is refused."""
    masked = CALLS["training_masked_gradients"]
    assert masked.without_mask == CALLS["training_gradients"]
    assert CALLS["training_masked"].without_mask == CALLS["training"]
    assert CALLS["inference_tangent"].without_mask == CALLS["inference_tangent"]
    assert CALLS["training_tangent"].in_mode("inference") == CALLS["inference_tangent"]
    assert CALLS["inference_gradients"].with_kind("forward") == CALLS["inference"]
    with pytest.raises(UsageError, match="no call of kind masked"):
        CALLS["training_masked"].in_mode("inference")
    with pytest.raises(UsageError, match="no call of kind fit"):
        call_of("training", "fit")


def test_what_a_call_returns_and_takes_follows_from_its_kind() -> None:
    """Said once for all calls, in words that tests of other rooms rely on."""
    assert {c.name for c in CALLS.values() if c.has_gradients} == {
        "training_gradients",
        "inference_gradients",
        "training_some_gradients",
        "inference_some_gradients",
        "training_late_gradients",
        "inference_late_gradients",
        "training_state_gradients",
        "training_masked_gradients",
    }
    assert {c.name for c in CALLS.values() if c.has_mask} == {c.name for c in CALLS.values() if "mask" in c.inputs}
    assert all(c.between == (c.inputs == ()) for c in CALLS.values())


def test_a_call_travels_as_its_name() -> None:
    """In JSON, in text, and between processes."""
    for name, call in CALLS.items():
        assert str(call) == name
        assert call_named(name) is call
        assert pickle.loads(pickle.dumps(call)) == call
        assert Step.from_json(Step(call).to_json()) == Step(call)
        assert Step(call).to_json()["call"] == name


def test_an_unknown_call_is_refused() -> None:
    """By name from a file, and as a value that is none of the calls."""
    with pytest.raises(UsageError, match="call 'train' is unknown"):
        Step.from_json({"call": "train", "inputs": ["x"], "fresh": True})


# --- timings ----------------------------------------------------------------------------------------------------------


def test_what_was_timed_comes_back_as_it_was() -> None:
    """To JSON and back, tuples included; a field that is missing or unknown is an error."""
    timing = TimingResult(
        9, 8, 3, (5, 6), 1, 2.0, 40, 0.5, None, 2, 64, {"keeps_the_dtype": ""}, 7, ({"y": (2, 3)}, {})
    )
    assert TimingResult.from_json(timing.to_json()) == timing
    data = timing.to_json()
    del data["warmup"]
    with pytest.raises(TypeError, match="warmup"):
        TimingResult.from_json(data)
    bandwidth = Bandwidth((BandwidthCurve("copy", 1, (4, 8), (1.0, 2.0)),), (PlainCopy(4, (3,), True),), 5)
    assert Bandwidth.from_json(bandwidth.to_json()) == bandwidth
    assert dataclasses.asdict(Bandwidth()) == {"curves": (), "copies": (), "timed_ns": 0}
