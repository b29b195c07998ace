"""Closed vocabularies of the model as types: statuses, subjects, tiers, probes.

Vocabularies used by a single type stand beside it: modes and kinds of calls in ``call``, choices of conventions in ``conventions``, levels in
``bnspec.clauses.clause``, verdicts in ``bnspec.reports.run.vocabulary``.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Literal, Tuple, get_args

#: How a step or a case ended. ok: it returned outputs. declined: the backend does not support it. error: it raised. crashed:
#: its process died. timeout: it did not answer in time. not_run: an earlier step or the target's end prevented it.
Status = Literal["ok", "declined", "error", "crashed", "timeout", "not_run"]
STATUSES: Tuple[Status, ...] = get_args(Status)

#: The state of a target after opening. ready: it can be judged. absent: there is no such device. unavailable: the framework is
#: missing. malformed: the adapter violates the contract. broken: it raised. crashed, timeout: its process crashed or hung. unbuilt: the
#: environment that it runs in cannot be built.
TargetStatus = Literal["ready", "absent", "unavailable", "malformed", "broken", "crashed", "timeout", "unbuilt"]

#: The kind of layer that a case tests.
CaseSubject = Literal["batch_norm", "input_norm", "layer_norm", "network"]
SUBJECTS: Tuple[CaseSubject, ...] = get_args(CaseSubject)

#: Kinds of network, with and without normalization.
NetworkKind = Literal["dense", "convolutional", "dense_plain", "convolutional_plain"]
NETWORKS: Tuple[NetworkKind, ...] = get_args(NetworkKind)

#: Tiers of bounds: see ``bnspec.bounds.batch_norm``.
Tier = Literal["lenient", "permissive", "good"]
TIERS: Tuple[Tier, ...] = get_args(Tier)

#: Whether the data of a timed call is cached when it begins, and what is timed: a call, or the replay of a recorded graph.
CacheState = Literal["hot", "cold"]
CACHE_STATES: Tuple[CacheState, ...] = get_args(CacheState)
TimedMode = Literal["call", "graph"]
TIMED_MODES: Tuple[TimedMode, ...] = get_args(TimedMode)

#: The buffer operation used to measure memory bandwidth.
MemoryAction = Literal["copy", "read"]
MEMORY_ACTIONS: Tuple[MemoryAction, ...] = get_args(MemoryAction)

#: Probes of whether a timed call did the requested work, and of the clock. The last two compare with the exact answer, the others run in the worker.
Probe = Literal[
    "waits_for_its_results",
    "computes_every_call",
    "results_keep_their_values",
    "inputs_stay_as_they_are",
    "depends_on_its_inputs",
    "moves_the_state_of_its_mode",
    "reads_the_systems_clock",
    "computes_every_output",
    "keeps_the_dtype",
]
