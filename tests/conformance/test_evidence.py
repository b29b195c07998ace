"""Evidence is data: it is complete whatever clause is broken, it survives any wording, and no program parses a message."""

from __future__ import annotations

import ast
import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.registry import Entry
from bnspec.backends.harness.targets import Target
from bnspec.backends.worker.execution import run_case
from bnspec.clauses import ASKED, select_asked
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.checks import CHECKS
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.judge.collector import COMPLETES, Collector, completion, nothing_known
from bnspec.conformance.judge.finding import finding_of
from bnspec.conformance.judge.judge import checks_for, judge, speaks_of
from bnspec.conformance.judge.tally import Judged
from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.settings import RunSettings
from bnspec.conformance.run.smallest import smallest
from bnspec.conformance.run.target_run import TargetRun
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS, CatalogueEntry
from bnspec.conformance.selftest.matrix.matrix import adapter_of
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.model.case import Case
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Evidence, KnownDeviation, Relation, recorded, sentence
from bnspec.reports.run.manifest import new_manifest
from bnspec.reports.run.records import Finding
from bnspec.reports.run.store import RunWriter, read_run

ROOT = Path(__file__).resolve().parents[2]
ELEMENT = ("output", "index", "got")
#: What evidence of a relation must hold, beside step, call and ratio.
COMPLETE: Mapping[str, tuple[str, ...]] = {
    "within_bound": (*ELEMENT, "expected", "bound"),
    "agrees": (*ELEMENT, "expected", "bound", "compared_with"),
    "sums": (*ELEMENT, "expected", "bound"),
    "no_offset": ("output", "expected", "got", "bound"),
    "no_gain": ("output", "expected", "got", "bound"),
    "equal_bits": ("output", "compared_with"),
    "unchanged": (),  # an element of a state or a result, or the names of what was written to
    "separate_memory": ("output", "names"),
    "inside": ("names",),
    "shape": ("output", "expected", "got"),
    "dtype": ("output", "expected", "got"),
    "present": ("output", "names"),
    "finite": ELEMENT,
    "not_finite": (*ELEMENT, "expected"),
    "zero": (*ELEMENT, "expected"),
    "equals": (*ELEMENT, "expected"),
    "not_negative": ELEMENT,
    "bounded": (*ELEMENT, "bound"),
    "differs": ELEMENT,
    "returns": ("exception",),
    "raises": (),
    "completes": ("got",),
    "repeats": (),
}


def lacking(evidence: Evidence, case: Case) -> list[str]:
    """What the evidence of a deviation lacks, or says wrongly of its case."""
    wrong = [name for name in COMPLETE[evidence.relation] if getattr(evidence, name) in (None, ())]
    if evidence.call != case.steps[evidence.step].call.name:
        wrong.append("call")
    if evidence.ratio is None or float(evidence.ratio) <= 1.0:
        wrong.append("ratio")
    if evidence.compared_with is not None and not 0 <= evidence.compared_with < evidence.step:
        wrong.append("compared_with")
    if evidence.relation == "unchanged" and not (evidence.names or evidence.output):
        wrong.append("names")
    return wrong


# --- one broken judgement of each clause ----------------------------------------------------------------------------------


def mutant_of(clause: str) -> CatalogueEntry | None:
    """The mutant that is run for a clause: of those of the fewest clauses the one that is listed last."""
    named = [m for m in MUTANTS if clause in m.killed_by and not m.escapes and not m.implementation.isolated]
    return min(reversed(named), key=lambda m: len(m.killed_by), default=None)


#: By clause its mutant. A clause without one, of level MAY, has a test of its own below.
CHOSEN = {c.clause: m for c in CHECKS if (m := mutant_of(c.clause)) is not None}


@functools.cache
def broken() -> Mapping[str, tuple[Case, Judgement]]:
    """By clause a case, and the judgement of it on the clause's mutant; the first case that the mutant fails."""
    waiting, found = dict(CHOSEN), dict[str, tuple[Case, Judgement]]()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for case in cases_of("quick", 1):
            oracle, header = Oracle(case), case.header()
            for name in {m.name for m in waiting.values() if m.applies_to(case)}:
                checks = checks_for([c for c, m in waiting.items() if m.name == name])
                if not speaks_of(case, oracle, checks):
                    continue
                adapter = adapter_of(name)
                observation = run_case(adapter, *header)
                judgements = judge(case, observation, adapter.conventions, oracle, checks)
                for clause, judgement in judgements.items():
                    if judgement is not None and not judgement.holds:
                        found[clause] = case, judgement
                        del waiting[clause]
            if not waiting:
                break
    return found


@pytest.mark.parametrize("clause", CHOSEN)
def test_the_evidence_of_a_broken_clause_is_complete(clause: str) -> None:
    """Relation, call and whatever the relation is about; numbers are floats, and JSON's missing ones words."""
    case, judgement = broken()[clause]
    evidence = judgement.evidence
    assert evidence is not None
    assert judgement.message
    assert not lacking(evidence, case), evidence
    numbers = [n for n in (evidence.expected, evidence.got, evidence.bound) if isinstance(n, float)]
    assert all(map(math.isfinite, numbers))


def test_results_that_differ_in_bits_with_and_without_gradients_are_located_by_their_element() -> None:
    """The one check without a mutant, and no clause is left out: the last one is judged of cases without an answer."""
    clause, right = "gradient.forward_agrees", PlainAdapter()
    assert {*CHOSEN, clause, COMPLETES} == set(ASKED)
    for case in catalogue():
        observation = run_case(right, *case.header())
        for i, step in enumerate(case.steps):
            if step.call.has_gradients and "y" in observation.steps[i].outputs:
                observation.steps[i].outputs["y"].flat[-1] += 1
        judgement = judge(case, observation, right.conventions, Oracle(case), checks_for([clause])).get(clause)
        if judgement is not None:
            assert judgement.evidence is not None
            assert judgement.evidence.relation == "equal_bits"
            assert judgement.evidence.index is not None
            assert not lacking(judgement.evidence, case)
            return
    pytest.fail("no case asks it")


def test_every_relation_has_a_rule_of_what_its_evidence_holds() -> None:
    """A new relation comes with its rule."""
    assert set(COMPLETE) == set(get_args(Relation))


def test_a_judgement_has_evidence_exactly_when_its_clause_is_broken() -> None:
    """A check that forgets it is refused where it is made."""
    evidence = Evidence(step=0, call="training", relation="raises", ratio="inf")
    with pytest.raises(ValueError, match="evidence"):
        Judgement(math.inf)
    with pytest.raises(ValueError, match="evidence"):
        Judgement(0.5, evidence)
    assert KEPT.holds
    assert not Judgement(math.inf, evidence).holds


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (None, None),
        (np.float32(0.5), 0.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ((2, 3), "(2, 3)"),
        ("half", "half"),
    ],
)
def test_values_are_held_as_json_can_hold_them(value: Any, held: float | str | None) -> None:
    """Numbers stay numbers where JSON has them."""
    assert recorded(value) == held


def test_a_sentence_is_made_from_evidence_where_there_are_numbers() -> None:
    """And not the other way round."""
    evidence = Evidence(
        step=0, call="training", relation="within_bound", output="y", index=(1, 0), expected=1.0, got=3.0, bound=0.5, ratio=4.0
    )  # fmt: skip
    assert sentence(evidence) == "y[1, 0] of training is 3.0, expected 1.0, 4 times the bound"
    assert not sentence(Evidence(step=0, call="training", relation="raises"))


# --- how a case ends, and whether it ends so again ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["crashed", "timeout"])
def test_a_case_without_an_answer_breaks_the_relation_completes(status: str) -> None:
    """With the status as what came."""
    case = next(iter(catalogue()))
    judgement = completion(case, Observation(status, "signal 11"))
    assert judgement.evidence is not None
    assert (judgement.evidence.relation, judgement.evidence.got) == ("completes", status)
    assert not lacking(judgement.evidence, case)
    assert completion(case, Observation("ok")) is KEPT


def test_a_deviation_that_does_not_happen_again_keeps_what_was_observed_first() -> None:
    """Its relation is "repeats"; step, output and numbers stay."""
    case, judgement = broken()["training.output"]
    right = PlainAdapter()
    found, again = smallest(
        "training.output", Judged(case, judgement), lambda c: run_case(right, *c.header()), right.conventions, 0.1
    )
    assert found is case
    assert again.evidence is not None
    assert judgement.evidence is not None
    assert again.evidence.relation == "repeats"
    assert (again.evidence.output, again.evidence.index) == (judgement.evidence.output, judgement.evidence.index)
    assert not again.holds


AGREED = [(True, False)] * 3


@pytest.mark.parametrize(
    ("used", "new", "relation", "history"),
    [
        ([True], [(True,)], "within_bound", None),
        ([True, True], [(False,)] * 3, "within_bound", "after_other_cases"),
        ([True, False], [(False,)] * 3, "within_bound", None),  # it does not happen again: by chance
        ([True], [(False,), (True,)], "within_bound", None),
        ([False], AGREED, "within_bound", "first_run"),
        ([False], [(True, True)] * 3, "within_bound", "new_process"),
        ([False], [*AGREED[:2], (True, True)], "repeats", None),
        ([False], [*AGREED[:2], (False, False)], "repeats", None),
        ([False], [(False, False)] * 3 + [(False, True)] * 3, "within_bound", "after_other_cases"),
        ([False], [(False, False)] * 3 + [(False, True), (False, True), (False, False)], "repeats", None),
    ],
)
def test_a_history_is_named_where_processes_agree(
    used: list[bool], new: list[tuple[bool, ...]], relation: str, history: str | None
) -> None:
    """Each process deviates in those of its runs; a deviation by chance needs no history, and is said not to repeat."""
    right, wrong, case = PlainAdapter(), adapter_of("root_forgotten"), catalogue()[0]
    first = judge(case, run_case(wrong, *case.header()), right.conventions, Oracle(case))["training.output"]
    assert first is not None
    processes = iter(new)

    def process(runs: Iterable[bool]) -> Callable[[Case], Observation]:
        deviates = iter(runs)
        return lambda c: run_case(wrong if next(deviates, False) else right, *c.header())

    def open_process() -> AbstractContextManager[Callable[[Case], Observation]]:
        return nullcontext(process(next(processes, ())))

    judged = Judged(case, first)
    found, again = smallest(
        "training.output", judged, process(used), right.conventions, -1.0, open_process, earlier=[case]
    )
    assert found is case
    assert again.evidence is not None
    assert (again.evidence.relation, again.evidence.history) == (relation, history)
    assert not again.holds


# --- rewording -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def reworded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every judgement's message is the same word."""
    checked = Judgement.__post_init__

    def reword(self: Judgement) -> None:
        checked(self)
        object.__setattr__(self, "message", "reworded")

    monkeypatch.setattr(Judgement, "__post_init__", reword)


def findings(folder: Path, adapter: str) -> list[Finding]:
    """What a run of a few cases finds, as read back from its directory."""
    cases = [c for c in catalogue() if c.config.dtype == "float32" and c.config.rank == 2][:12]
    target = Target(Entry(adapter, f"example_adapters:{adapter}"), "cpu")
    settings = RunSettings(select_asked(["epsilon", "running", "training"]), shrink_seconds=0.0)
    with RunWriter.create(folder, new_manifest("verify", "test", 1, "quick", {})) as writer:
        TargetRun(target, CasePool(cases), settings, writer, lambda *_: None).run()
    return list(read_run(folder).findings)


@pytest.fixture
def worded(example_adapters_on_path: None, tmp_path: Path) -> list[Finding]:
    """The findings with the messages as they are."""
    return findings(tmp_path / "worded", "Wrong")


def test_rewording_every_message_changes_nothing_but_messages(
    worded: list[Finding], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Verdicts, counts, ratios, evidence and smallest cases of a run are the same."""
    request.getfixturevalue("reworded")
    again = findings(tmp_path / "again", "Wrong")
    deviating = [f for f in again if f.verdict == "deviates"]
    assert deviating
    assert {f.message for f in deviating} == {"reworded"}
    assert {f.evidence.relation for f in deviating if f.evidence} >= {"within_bound"}
    assert [msgspec.structs.replace(f, message="") for f in worded] == [
        msgspec.structs.replace(f, message="") for f in again
    ]


@pytest.mark.usefixtures("reworded")
def test_a_known_deviation_reaches_the_finding_without_a_message() -> None:
    """As a typed reference; and only where it covers every case that deviates."""
    known = KnownDeviation(kind="bug", reason="why.", conditions="any", package="numpy", versions=">=1")
    case, _ = broken()["training.output"]
    adapter = adapter_of(CHOSEN["training.output"].name)
    observation = run_case(adapter, *case.header())
    for lookup, expected in ((lambda clause, of: known, (known,)), (nothing_known, ())):
        collector = Collector(["training.output"], adapter.conventions, lookup)
        collector.collect(case, observation, Oracle(case))
        found = finding_of("training.output", collector.tallies["training.output"], "numpy", "cpu")
        assert (found.verdict, found.known, found.message) == ("deviates", expected, "reworded")
        assert found.evidence is not None
        assert not lacking(found.evidence, case)


def test_a_known_crash_reaches_the_finding() -> None:
    """A process that is known to end on a case is no new deviation."""
    known = KnownDeviation(kind="bug", reason="why.", conditions="any", package="numpy", versions=">=1")
    case, _ = broken()["training.output"]
    for lookup, expected in ((lambda clause, of: known, (known,)), (nothing_known, ())):
        collector = Collector([COMPLETES], PlainAdapter().conventions, lookup)
        collector.collect(case, Observation("crashed", "killed by SIGFPE"), Oracle(case))
        found = finding_of(COMPLETES, collector.tallies[COMPLETES], "numpy", "cpu")
        assert (found.verdict, found.failures, found.known) == ("crashed", 1, expected)


# --- no program parses a message ---------------------------------------------------------------------------------------------

PARSING = {
    "startswith", "endswith", "removeprefix", "removesuffix", "split", "rsplit", "splitlines", "partition", "rpartition",
    "find", "rfind", "index", "count",
}  # fmt: skip


def is_message(node: ast.AST) -> bool:
    """Whether an expression is a record's message."""
    return isinstance(node, ast.Attribute) and node.attr == "message"


def parsed(tree: ast.AST) -> Iterator[int]:
    """The lines on which a message is searched, compared or taken apart."""
    for node in ast.walk(tree):
        if (isinstance(node, ast.Compare) and any(map(is_message, (node.left, *node.comparators)))) or (
            isinstance(node, ast.Subscript) and is_message(node.value)
        ):
            yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = node.func
            regular = isinstance(called.value, ast.Name) and called.value.id == "re" and any(map(is_message, node.args))
            if regular or (called.attr in PARSING and is_message(called.value)):
                yield node.lineno


@pytest.mark.parametrize("folder", ["bnspec", "backends", "benchmarks", "conformance", "reports"])
def test_no_program_parses_a_message(folder: str) -> None:
    """Messages are for people. What a program needs stands in the evidence."""
    files = [p.relative_to(ROOT) for p in sorted((ROOT / folder).rglob("*.py"))]
    offenders = [f"{p}:{line}" for p in files for line in parsed(ast.parse((ROOT / p).read_text("utf-8")))]
    assert files
    assert not offenders


@pytest.mark.parametrize(
    "source",
    [
        '"step" in f.message',
        're.search("x", f.message)',
        'f.message.startswith("x")',
        "f.message[3:]",
        'f.message == "x"',
    ],
)
def test_parsing_a_message_is_noticed(source: str) -> None:
    """The test above could fail."""
    assert list(parsed(ast.parse(source)))
