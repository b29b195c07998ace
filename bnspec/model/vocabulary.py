"""Closed vocabularies of the model: the words that a status, a subject or a probe may be, as types.

Words of one type only stand beside it: modes and kinds of calls in ``call``, choices of conventions in ``conventions``, levels in
``bnspec.clauses.clause``, tiers in ``bnspec.bounds``, verdicts in ``bnspec.reports.run.vocabulary``.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Literal, Tuple, get_args

#: How a step or a case ended. ok: outputs are there. declined: the backend does not offer it. error: it raised. crashed: its
#: process died. timeout: it did not answer in time. not_run: an earlier step or the target's end prevented it.
Status = Literal["ok", "declined", "error", "crashed", "timeout", "not_run"]
STATUSES: Tuple[Status, ...] = get_args(Status)

#: How a target answered when it was opened. ready: it can be judged. absent: the device is. unavailable: the framework is.
#: malformed: the adapter breaks the contract. broken: it raised. crashed, timeout: the process did.
TargetStatus = Literal["ready", "absent", "unavailable", "malformed", "broken", "crashed", "timeout"]
TARGET_STATUSES: Tuple[TargetStatus, ...] = get_args(TargetStatus)

#: What a case is about.
Subject = Literal["batch_norm", "input_norm", "layer_norm", "network"]
SUBJECTS: Tuple[Subject, ...] = get_args(Subject)

#: Kinds of network, and the same without their normalization.
NetworkKind = Literal["dense", "convolutional", "dense_plain", "convolutional_plain"]
NETWORKS: Tuple[NetworkKind, ...] = get_args(NetworkKind)

#: What is done with a buffer when the bandwidth of memory is measured.
MemoryAction = Literal["copy", "read"]
MEMORY_ACTIONS: Tuple[MemoryAction, ...] = get_args(MemoryAction)

#: Is what was timed the work that was asked for? The last two are judged beside the exact answer, the others in the worker.
Probe = Literal[
    "waits_for_its_results",
    "computes_every_call",
    "results_keep_their_values",
    "inputs_stay_as_they_are",
    "depends_on_its_inputs",
    "moves_the_state_of_its_mode",
    "computes_every_output",
    "keeps_the_dtype",
]
PROBES: Tuple[Probe, ...] = get_args(Probe)
