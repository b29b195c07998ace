"""The kill matrix: every mutant and variant through the suite, case by case.

A case and the oracle's answers to it are made once for all mutants, variants and seeds: the cases are shared out over
processes, and in each process a case meets every mutant and variant in turn. What may end its process goes through a worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import multiprocessing
import signal
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.worker.execution import observe
from bnspec.backends.worker.lifetime import die_with_parent
from bnspec.conformance.cases.effort import EffortName, cases_of
from bnspec.conformance.judge.collector import COMPLETES, completion
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.catalogue.catalogue import ALL, CatalogueEntry
from bnspec.contract import Adapter
from bnspec.errors import HarnessError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle

#: Cases that are handed out at a time; --until-killed decides after each wave.
WAVE = 16
#: How long a worker may take for a case of a mutant that hangs: ordinary cases take milliseconds.
ISOLATED_SECONDS = 10.0
BY_NAME = {p.name: p for p in ALL}
#: The module in which workers find mutants that another backend carries.
CARRIED = "bnspec.conformance.selftest.catalogue.carried"


@dataclass(frozen=True)
class Accusation:
    """A clause that deviates on a case: worst error / bound, and what was seen."""

    clause: str
    ratio: float
    message: str


@dataclass
class Seconds:
    """Where the time went, summed over processes."""

    layers: float = 0.0
    oracle: float = 0.0
    judge: float = 0.0

    def add(self, other: Seconds) -> None:
        """Count another's."""
        self.layers += other.layers
        self.oracle += other.oracle
        self.judge += other.judge


@dataclass
class Matrix:
    """What was seen.

    Attributes:
        entries: the mutants and variants, in the catalogue's order.
        seeds: for each seed the ids of its cases, in the order in which a run has them.
        origins: by case id, what the case is for; cases: the cases themselves.
        accusations: by case id and name, the clauses that deviate.
        stopped: by name, after how many cases of a stopped trial its own clause had killed it.
        seconds, wall: the budget used.
    """

    entries: Sequence[CatalogueEntry]
    seeds: Mapping[int, Sequence[str]]
    origins: Mapping[str, Mapping[str, Any]]
    accusations: dict[str, dict[str, list[Accusation]]] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=Seconds)
    wall: float = 0.0
    cases: Mapping[str, Case] = field(default_factory=dict)

    def of(self, name: str, seed: int) -> list[tuple[int, str, Accusation]]:
        """All accusations of one name on one seed's cases: (number of the case, its id, accusation)."""
        cases = enumerate(self.seeds[seed], 1)
        return [(n, c, a) for n, c in cases for a in self.accusations.get(c, {}).get(name, ())]


class TimedOracle(Oracle):
    """An oracle that knows how long it took."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.seconds = 0.0

    def expect(self, *arguments: Any) -> dict[str, Any]:
        """The oracle's answer, timed."""
        started = time.perf_counter()
        answer = super().expect(*arguments)
        self.seconds += time.perf_counter() - started
        return answer


@functools.cache
def adapter_of(name: str) -> Adapter:
    """The adapter of a mutant or variant, opened once in each process."""
    adapter: Adapter = BY_NAME[name].adapter_class()("cpu")
    return adapter


def accusations_of(
    name: str, case: Case, observation: Observation, conventions: Conventions, oracle: Oracle
) -> list[Accusation]:
    """The clauses that the observation breaks."""
    if observation.status in ("crashed", "timeout"):
        ended = completion(case, observation)
        return [Accusation(COMPLETES, ended.ratio, ended.message)]
    try:
        found = judge(case, observation, conventions, oracle).items()
    except Exception as error:  # said of whom and on what; the matrix ends
        plan = case.origin.get("plan", case.id)
        raise HarnessError(f"judging {name} failed: {error!r}.", f"the case is {plan}.", "fix the check.") from error
    return [Accusation(c, j.ratio, j.message) for c, j in found if j is not None and not j.holds]


#: What of the result of a step are arrays by name.
ARRAYS = ("outputs", "before", "after")


def fingerprint(observation: Observation) -> bytes:
    """A digest of all that a check can see of an observation."""
    digest = hashlib.blake2b(observation.status.encode(), digest_size=16)
    for step in observation.steps:
        digest.update(repr([getattr(step, f.name) for f in dataclasses.fields(step) if f.name not in ARRAYS]).encode())
        for place in ARRAYS:
            for name, array in getattr(step, place).items():
                digest.update(f"{place} {name} {array.dtype.num} {array.shape}".encode())
                digest.update(array.tobytes())
    return digest.digest()


Judged = tuple[dict[str, list[Accusation]], Seconds]


def judge_entries(header: Mapping[str, Any], buffers: list[bytes], names: Sequence[str]) -> Judged:
    """One case on mutants and variants in this process: by name what accuses it, and where the time went.

    Most mutants are the plain layer off their path: equal observations under equal conventions are judged once.
    """
    case, found, spent = Case.from_header(header, buffers), {}, Seconds()
    judged: dict[tuple[Conventions, bytes], list[Accusation]] = {}
    oracle, started = TimedOracle(case), time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in names:
            adapter = adapter_of(name)
            observation = observe(adapter, case, header["arrays"], buffers)
            spent.layers += observation.seconds
            key = adapter.conventions, fingerprint(observation)
            if key not in judged:
                judged[key] = accusations_of(name, case, observation, adapter.conventions, oracle)
            if judged[key]:
                found[name] = judged[key]
    spent.oracle = oracle.seconds
    spent.judge = time.perf_counter() - started - spent.layers - spent.oracle
    return found, spent


@dataclass(frozen=True)
class Place:
    """Where mutants and variants compute: in memory of this process' or, in workers, in that of a device.

    Attributes:
        device: as ``--device`` names it.
        carrier: the backend in whose tensors their arrays lie; None: they are NumPy's.
    """

    device: str = "cpu"
    carrier: Entry | None = None

    def entry(self, name: str) -> Entry:
        """The mutant as a worker opens it."""
        if self.carrier is None:
            return Entry(name, BY_NAME[name].adapter)
        return Entry(name, f"{CARRIED}:{name}@{self.carrier.adapter.replace(':', '.')}")


HERE = Place()


def observe_isolated(
    name: str, cases: Sequence[Case], place: Place = HERE, until_killed: bool = False
) -> dict[str, list[Accusation]]:
    """One mutant on every case in a worker of its own: by case id what accuses it; ``until_killed``: up to its own clause's kill."""
    found, killers = {}, set(BY_NAME[name].killed_by)
    with Worker(place.entry(name), place.device) as worker:
        if worker.hello.conventions is None:
            raise HarnessError(f"{name} did not open.", f"{worker.hello.reason}.", "fix it: it is ours.")
        for case in filter(BY_NAME[name].applies_to, cases):
            observation = worker.run(case, ISOLATED_SECONDS)
            if accusations := accusations_of(name, case, observation, worker.hello.conventions, Oracle(case)):
                found[case.id] = accusations
                if until_killed and killers.intersection(a.clause for a in accusations):
                    break
    return found


Found = dict[str, dict[str, list[Accusation]]]


@dataclass
class Journal:
    """The waves and isolated mutants that are done: those of an interrupted run, and what is called with each that follows.

    Attributes:
        units: by ("wave", number of its first case) or ("isolated", name), what accuses by case id and name.
        add: called with a unit's words, what was found, and the seconds so far.
    """

    units: Mapping[tuple[str | int, ...], Found] = field(default_factory=dict)
    seconds: Seconds = field(default_factory=Seconds)
    add: Callable[[tuple[str | int, ...], Found, Seconds], None] = lambda unit, found, seconds: None


def begin_process() -> None:
    """In each process of the pool: the terminal's Ctrl-C is for the run, and it ends with the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def kill_matrix(
    entries: Sequence[CatalogueEntry],
    effort: EffortName,
    seeds: Sequence[int],
    jobs: int,
    until_killed: bool = False,
    report: Callable[[int, int], None] = lambda done, of: None,
    journal: Journal | None = None,
    place: Place = HERE,
) -> Matrix:
    """Run all of it; ``report`` is called with how many cases are done. ``until_killed`` lets a mutant go once its own clause kills it.

    In another place than this process' memory every mutant has a worker of its own.
    """
    started, kept = time.perf_counter(), journal or Journal()
    drawn = {seed: list(cases_of(effort, seed)) for seed in seeds}
    cases = {c.id: c for some in drawn.values() for c in some}
    ids = {s: [c.id for c in some] for s, some in drawn.items()}
    matrix = Matrix(entries, ids, {i: c.origin for i, c in cases.items()}, cases=cases, seconds=kept.seconds)
    isolated = [p.name for p in entries if p.implementation.isolated or place != HERE]
    waiting = {p.name: p for p in entries if p.name not in isolated}
    every = list(cases.values())
    most = min(jobs, len(every) + len(isolated))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(most, context, begin_process) as pool, _ended_at_once(pool):
        alone = {
            n: pool.submit(observe_isolated, n, every, place, until_killed)
            for n in isolated
            if ("isolated", n) not in kept.units
        }
        for begin in range(0, len(every), WAVE):
            wave = every[begin : begin + WAVE]
            unit: tuple[str | int, ...] = ("wave", begin)
            found = kept.units.get(unit)
            if found is None:
                found = _judged(pool, wave, waiting, matrix.seconds)
                kept.add(unit, found, matrix.seconds)
            matrix.accusations.update(found)
            report(min(begin + WAVE, len(every)), len(every))
            if until_killed:
                _let_go(matrix, waiting, [c.id for c in wave], begin + len(wave))
        for name in isolated:
            unit = ("isolated", name)
            found = kept.units.get(unit)
            if found is None:
                found = {case_id: {name: accusations} for case_id, accusations in alone[name].result().items()}
                kept.add(unit, found, matrix.seconds)
            for case_id, by_name in found.items():
                matrix.accusations.setdefault(case_id, {}).update(by_name)
            if until_killed:
                ends = [number for number, case in enumerate(every, 1) if case.id in found]
                _let_go(matrix, {name: BY_NAME[name]}, list(found), max(ends, default=0))
    matrix.wall = time.perf_counter() - started
    return matrix


@contextlib.contextmanager
def _ended_at_once(pool: ProcessPoolExecutor) -> Iterator[None]:
    """End the processes of the pool where the block is left by an error or a signal: they may work for long."""
    try:
        yield
    except BaseException:
        for process in multiprocessing.active_children():
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _judged(
    pool: ProcessPoolExecutor, wave: Sequence[Case], waiting: Mapping[str, CatalogueEntry], seconds: Seconds
) -> Found:
    """What accuses in one wave; every case has its entry."""
    names = [[p.name for p in waiting.values() if p.applies_to(c)] for c in wave]
    futures = [pool.submit(judge_entries, *c.header(), n) for c, n in zip(wave, names)]
    found: Found = {}
    for case, future in zip(wave, futures):
        found[case.id], spent = future.result()
        seconds.add(spent)
    return found


def _let_go(matrix: Matrix, waiting: dict[str, CatalogueEntry], ids: Collection[str], done: int) -> None:
    """Take the mutants out of the trial that a clause they are named for has killed in these cases."""
    for name, entry in list(waiting.items()):
        seen = {a.clause for i in ids for a in matrix.accusations[i].get(name, ())}
        if seen.intersection(entry.killed_by):
            matrix.stopped[name] = done
            del waiting[name]
