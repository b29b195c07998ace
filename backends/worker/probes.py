"""Probes: is what was timed the work that was asked for? Each is a claim, and an objection where it does not hold.

Outputs that are right do not prove it: a layer can give right answers to the call that is diagnostics_started at and none to the timed
ones, remember what it has seen, or return before it has computed. Each probe looks for one such habit from outside, by what a
layer does and how long it takes; those that need the exact answer (is every output of a timed call right?) stand with the
judge, in ``bnspec.benchmarks``.

Where a probe compares times, its threshold is what the claim itself says: it objects when less than half of the work is in
the samples, and the least favourable of ``REPETITIONS`` tries counts, so that noise alone accuses nobody.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import statistics
import time
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from bnspec.backends.worker.timed_call import Subject, Tensors
from bnspec.model.call import FIT, LEARN, TRAINING, TRAINING_GRADIENTS
from bnspec.model.vocabulary import Probe

#: Tries of a probe that compares times, and of one whose calls take longer than 2 ms: noise is a smaller part of them.
REPETITIONS, FEW, LONG_NS = 5, 3, 2e6
#: Times that an objection which rests on times must be found, and the pause between two.
ATTEMPTS, PAUSE_SECONDS = 3, 0.05
#: Nanoseconds that a call which returned too early is given to end: several times what it seemed to take, and at least 20 ms.
PATIENCE, LEAST_PATIENCE_NS, MOST_PATIENCE_NS = 4, 20_000_000, 100_000_000
#: More work than this many times what was timed, found elsewhere, is more than half of the whole.
HIDDEN = 1.0
#: A call on new inputs that takes longer than so many calls on known ones: the known ones do less than half of the work.
REMEMBERED = 2.0
#: Of these calls all state moves, or none.
MOVING = (TRAINING, TRAINING_GRADIENTS)


def probe(
    subject: Subject, rotation: Sequence[Tensors], factors: Sequence[float], median_ns: float
) -> Dict[Probe, str]:
    """Every probe that can be made of the subject, with its objection or nothing; what cannot be asked of it is left out.

    Args:
        rotation: the inputs that the timed calls took in turn, made of the case's by ``factors``.
        median_ns: of the timed calls.
    """
    found: Dict[Probe, Optional[str]] = {
        "waits_for_its_results": confirmed(lambda: _waits(subject, rotation[0], median_ns)),
        "computes_every_call": confirmed(lambda: _computes(subject, rotation[0], median_ns)),
        "results_keep_their_values": _keeps(subject, rotation),
        "inputs_stay_as_they_are": _leaves(subject, rotation, factors),
        "depends_on_its_inputs": _depends(subject, rotation),
        "moves_the_state_of_its_mode": _moves(subject, rotation),
    }
    return {name: said for name, said in found.items() if said is not None}


def confirmed(attempt: Callable[[], str]) -> str:
    """The objection, when ``ATTEMPTS`` in a row have one: what another program on the machine does passes by, a habit stays."""
    said = ""
    for number in range(ATTEMPTS):
        if number:
            time.sleep(PAUSE_SECONDS)
        said = attempt()
        if not said:
            return ""
    return said


def repetitions(median_ns: float) -> int:
    """How often a call of this length is tried."""
    return REPETITIONS if median_ns < LONG_NS else FEW


def _waits(subject: Subject, inputs: Tensors, median_ns: float) -> str:
    """No work is left when the wait has returned: reading a result costs what reading a tensor costs, and gives what it gives later."""
    settle = min(max(PATIENCE * median_ns, LEAST_PATIENCE_NS), MOST_PATIENCE_NS) * 1e-9
    read_ns, control_ns, settled = [], [], True
    for i in range(repetitions(median_ns)):
        _, result = subject.timed(inputs)
        begun = time.perf_counter_ns()
        arrays = [subject.adapter.array(t) for t in subject.named(result).values()]
        read_ns.append(time.perf_counter_ns() - begun)
        if i == 0:  # on the first alone: settling takes time
            bits = [a.tobytes() for a in arrays]
            time.sleep(settle)
            settled = bits == subject.bits(list(subject.named(result).values()))
        made = [subject.adapter.tensor(np.array(a)) for a in arrays]
        subject.adapter.synchronize(tuple(made))
        begun = time.perf_counter_ns()
        for tensor in made:
            subject.adapter.array(tensor)
        control_ns.append(time.perf_counter_ns() - begun)
    if not settled:
        return "results changed %.3g ms after the wait for them had returned" % (settle * 1e3)
    hidden = min(read_ns) - max(control_ns)
    if hidden > HIDDEN * median_ns:
        return "reading the results took %.3g ms more than reading tensors does, and the timed call %.3g ms" % (
            hidden * 1e-6, median_ns * 1e-6,
        )  # fmt: skip
    return ""


def _computes(subject: Subject, seen: Tensors, median_ns: float) -> str:
    """A call on inputs that were never seen takes no longer than one on inputs that were."""
    new_ns: List[int] = []
    seen_ns: List[int] = []
    for i in range(repetitions(median_ns)):
        for known, times in ((True, seen_ns), (False, new_ns)):
            # other values of the same magnitude; made ahead of both calls, so that threads have waited as long before each
            new = subject.inputs(1.0 + 2.0**-6 * (2 * i + 1 + known))
            inputs = seen if known else new
            subject.bits(inputs)  # read once: both are in the caches
            times.append(subject.timed(inputs)[0])
    if min(new_ns) > REMEMBERED * max(statistics.median(seen_ns), median_ns):
        return "new inputs take at least %.3g times as long as those seen before" % (
            min(new_ns) / statistics.median(seen_ns)
        )
    return ""


def _keeps(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """A result stays as it is while the layer is called again. A fit's result is the state: not asked."""
    if subject.step.call.kind == "fit":
        return None
    _, result = subject.timed(rotation[0])
    tensors = list(subject.named(result).values())
    before = subject.bits(tensors)
    subject.timed(rotation[1])
    return "" if subject.bits(tensors) == before else "a later call has changed the results of an earlier one"


def _leaves(subject: Subject, rotation: Sequence[Tensors], factors: Sequence[float]) -> str:
    """The timed calls have written into none of their inputs."""
    changed = [f for f, inputs in zip(factors, rotation) if subject.bits(inputs) != subject.bits(subject.inputs(f))]
    return "the timed calls have written into their inputs" if changed else ""


def _depends(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """Two inputs, of which the second is the first times -2, do not have the same results to the bit.

    Not asked of a fit, whose results are the state; of a network, which is another one after every step; nor where the result
    may be beta whatever x is.
    """
    if subject.step.call in (FIT, LEARN) or _flat(subject, rotation[0]):
        return None
    results = [subject.bits(list(subject.named(subject.timed(inputs)[1]).values())) for inputs in rotation[:2]]
    return "inputs of opposite sign have the same results to the bit" if results[0] == results[1] else ""


def _flat(subject: Subject, inputs: Tensors) -> bool:
    """Whether no channel of x has a variance of at least epsilon: then normalising may leave nothing of x."""
    x = np.asarray(subject.adapter.array(inputs[0])).astype(np.float64)
    config = subject.case.config
    return not bool((x.var(config.reduce_axes) >= config.epsilon).any())


def _moves(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """Each call moves the running statistics, in training; none does otherwise. Not asked of what has none."""
    if subject.case.subject != "batch_norm" or not 0.0 < subject.case.config.decay < 1.0:
        return None
    moved = []
    for inputs in rotation:
        before = {n: a.tobytes() for n, a in subject.state().items()}
        subject.timed(inputs)
        moved.append(any(a.tobytes() != before[n] for n, a in subject.state().items()))
    if subject.step.call in MOVING:
        return "" if all(moved) else "a call in training has left the running statistics as they were"
    return "a call that is no training has moved the running statistics" if any(moved) else ""
