"""Rounds: fresh processes that take turns, compared in pairs, with the conditions that they were asked to run under."""

from __future__ import annotations

import json
import mmap
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnspec.benchmarks.run import bench as running
from bnspec.benchmarks.run.bench import BenchRequest, bench
from bnspec.benchmarks.summary.comparisons import compared, pairs_of
from bnspec.benchmarks.timing.conditions import Conditions, combinations, processors
from bnspec.benchmarks.workloads import suites as offered
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.errors import UsageError
from bnspec.reports.run.lines import sealed, unsealed
from bnspec.reports.run.records import Timing, contender
from bnspec.reports.run.store import Run
from bnspec.reports.summary.cells import cells

TINY = (Workload("tiny", (6, 3), 1, "float32", "training"), Workload("tiny", (6, 3), 1, "float32", "inference"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Run]:
    """A run of the backend numpy on tiny workloads."""
    monkeypatch.setattr(offered, "SUITES", {"short": TINY})
    monkeypatch.setattr(running, "measured_roofs", lambda *_: iter(()))

    def call(**asked: Any) -> Run:
        request = BenchRequest(**{"backends": ["numpy"], "seconds": 0.001, "out": tmp_path / "run", **asked})
        return bench(request, "bnspec bench", quiet=True)[0]

    return call


def test_every_round_opens_every_contender_in_a_process_of_its_own(run: Callable[..., Run]) -> None:
    """The process is the unit of replication."""
    found = run(conditions=[Conditions(), Conditions(allocation="fresh")], least=3, most=3)
    timed = [(contender(t), t.process, t.pass_name) for t in found.timings]
    names = ("numpy@cpu", "numpy@cpu[allocation=fresh]")
    assert sorted(timed) == sorted((n, r, p) for n in names for r in range(3) for p in ("training", "inference"))
    assert {c.pairs for c in found.comparisons} == {3}
    assert {c.baseline for c in found.comparisons} == {"numpy@cpu"}


def test_the_order_of_a_round_is_random(run: Callable[..., Run]) -> None:
    """All of A before all of B would take the machine's drift for a difference."""
    found = run(conditions=[Conditions(), Conditions(allocation="fresh")], least=8, most=8)
    firsts = {r: next(contender(t) for t in found.timings if t.process == r) for r in range(8)}
    assert len(set(firsts.values())) == 2  # of eight rounds all begin with the same one in one seed of 128


def test_probes_and_the_memory_of_a_call_are_measured_once(run: Callable[..., Run]) -> None:
    """In the first process; the others are left alone."""
    found = run(least=2, most=2)
    for timing in found.timings:
        assert bool(timing.probes.get("waits_for_its_results", "absent") == "") == (timing.process == 0)
        assert (timing.peak_bytes is not None) == (timing.process == 0)
        assert timing.import_ns
        assert timing.compile_ns is not None


def test_no_round_begins_when_the_time_is_over(run: Callable[..., Run]) -> None:
    """The first one is whole: what was asked for is shown, if only once."""
    found = run(least=1000, most=1000, minutes=1e-6)
    assert {t.process for t in found.timings} == {0}
    assert found.complete


def test_a_process_whose_account_cannot_be_read_is_timed_again(run: Callable[..., Run]) -> None:
    """An entry of the journal whose data do not fit is as one that is not there; the other process is kept."""
    before = run(least=2, most=2)
    records, journal = before.path / "records.jsonl", before.path / "journal.jsonl"
    ended = (b'"kind":"comparison"', b'"kind":"target_finished"', b'"kind":"run_finished"')
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(line for line in lines if not any(word in line for word in ended)))
    entries = [json.loads(unsealed(line) or b"") for line in journal.read_bytes().splitlines()]
    for entry in entries:
        if entry.get("unit") == ["process", "numpy@cpu", 0]:
            entry["data"] = {"seconds": "many"}
    journal.write_bytes(b"".join(sealed(json.dumps(entry).encode()) + b"\n" for entry in entries))
    after = run(least=2, most=2, resume=before.path, out=None)
    assert after.complete
    samples = [{(t.process, t.pass_name): t.samples_ns for t in r.timings} for r in (before, after)]
    assert samples[0].keys() == samples[1].keys()
    assert {process for process, name in samples[0] if samples[0][process, name] != samples[1][process, name]} == {0}


def test_a_process_keeps_to_the_processors_that_it_was_given(run: Callable[..., Run], write_adapter: Any) -> None:
    """Bound before the framework counts them."""
    spec = write_adapter(adapter="def threads(self): return len(os.sched_getaffinity(0))")
    found = run(backends=[spec], conditions=[Conditions(threads=1)], least=1, most=1)
    assert {t.threads for t in found.timings} == {1}
    assert {t.conditions["threads"] for t in found.timings} == {1}


def test_cold_calls_are_timed_one_by_one(run: Callable[..., Run]) -> None:
    """Ahead of each the caches are driven out; calls as short as these are timed in blocks when they are hot."""
    found = run(conditions=[Conditions(), Conditions(cache="cold")], least=1, most=1)
    blocks = {t.conditions.get("cache", "hot"): t.calls_per_sample for t in found.timings if t.pass_name == "inference"}
    assert blocks["cold"] == 1 < blocks["hot"]
    assert {t.verdict for t in found.timings} == {"conforms"}


def test_results_in_fresh_memory_fault_for_every_page_and_those_in_kept_memory_do_not(
    run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The axis of allocation does what its names say (glibc)."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the switches are glibc's")
    large = Workload("large", (2048, 256), 1, "float32", "inference")
    monkeypatch.setattr(offered, "SUITES", {"short": (large,)})
    found = run(conditions=[Conditions(allocation=a) for a in ("fresh", "preallocated")], least=1, most=1, seconds=0.1)
    faults = {t.conditions["allocation"]: t.page_faults_per_call or 0.0 for t in found.timings}
    pages = 4 * large.elements // mmap.PAGESIZE
    assert faults["fresh"] >= pages
    assert faults["preallocated"] < pages / 2  # what the first timed calls still take is spread over all of them


def test_a_graph_is_declined_where_there_is_none(run: Callable[..., Run]) -> None:
    """The mode is by the same argument everywhere, and what is not there says why."""
    found = run(conditions=[Conditions(mode="graph")], least=1, most=1)
    assert {t.verdict for t in found.timings} == {"declined"}
    assert all("CUDA" in t.message for t in found.timings)


def test_an_unknown_baseline_is_refused_before_anything_is_written(run: Callable[..., Run], tmp_path: Path) -> None:
    """With the names that there are."""
    with pytest.raises(UsageError, match="no contender is called 'nobody'"):
        run(baseline="nobody")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "axis", [{"allocation": ["some"]}, {"cache": ["warm"]}, {"mode": ["tape"]}, {"threads": [10**6]}]
)
def test_impossible_conditions_are_refused(axis: dict[str, Any]) -> None:
    """Before anything is timed."""
    with pytest.raises(UsageError):
        combinations(**axis)


def test_the_conditions_are_the_product_of_the_axes_and_name_what_is_not_the_default() -> None:
    """A contender's name says what differs."""
    found = combinations(cache=["hot", "cold"], allocation=["default", "preallocated"])
    named = [{}, {"cache": "cold"}, {"allocation": "preallocated"}, {"allocation": "preallocated", "cache": "cold"}]
    assert [c.named for c in found] == named
    assert Conditions(threads=1).environment["BNSPEC_PROCESSORS"] == str(processors()[-1])
    assert len(processors()) == len(os.sched_getaffinity(0))


def timing(name: str, process: int, median_ns: float, verdict: str = "conforms") -> Timing:
    """A record with this median."""
    ratio = 0.5 if verdict == "conforms" else 2.0
    return Timing(
        name,
        "cpu",
        "training",
        (2, 2),
        "float32",
        1,
        (round(median_ns),),
        median_ns,
        1,
        1,
        verdict,
        ratio,
        process=process,
    )


def test_only_rounds_that_both_have_are_paired_and_only_right_outputs_compared() -> None:
    """A time without a right answer is no time."""
    listed = [timing("a", r, 100.0 + r) for r in range(5)] + [timing("b", r, 200.0 + r) for r in (0, 2, 4)]
    listed += [timing("c", r, 10.0, "deviates") for r in range(5)]
    pairs = pairs_of(cells(listed), "a@cpu")
    assert {key[1]: p.pairs for key, p in pairs.items()} == {"b@cpu": 3}
    (comparison,) = compared(cells(listed), "a@cpu", 0.05)
    assert (comparison.verdict, comparison.pairs) == ("SLOWER", 3)
    assert comparison.low is not None
    assert comparison.low <= (comparison.ratio or 0.0)


def test_one_process_decides_nothing() -> None:
    """A spread takes two."""
    (comparison,) = compared(cells([timing("a", 0, 100.0), timing("b", 0, 900.0)]), "a@cpu", 0.05)
    assert (comparison.verdict, comparison.low, comparison.more_processes) == ("AMBIGUOUS", None, None)
