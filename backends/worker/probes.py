"""Probes: did the timed calls do the work? Each probe is a claim, with a message where it does not hold.

Right outputs are not enough: a layer can compute the observed call alone, remember earlier inputs, or return before it has
computed. Each probe looks for one such shortcut from outside, by what a layer does and how long it takes. Probes that need
the exact answer (is every output of a timed call right?) are with the judge, in ``bnspec.benchmarks``.

A probe that compares times rejects a layer when less than half of the work is in the samples. The repetition that speaks
most for the layer counts, so that noise alone rejects nothing.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from bnspec.backends.worker.clocks import replaced
from bnspec.backends.worker.timed_call import Subject, Tensors
from bnspec.model.call import FIT, LEARN, TRAINING, TRAINING_GRADIENTS
from bnspec.model.vocabulary import Probe

#: Repetitions of a probe that compares times, and of one whose calls take longer than 2 ms, where noise matters less.
REPETITIONS, FEW, LONG_NS = 5, 3, 2e6
#: How often in a row a finding that rests on times must repeat, and the pause in between.
ATTEMPTS, PAUSE_SECONDS = 3, 0.05
#: How long a call that returned too early may still run: several times what it seemed to take, within limits in ns.
PATIENCE, LEAST_PATIENCE_NS, MOST_PATIENCE_NS = 4, 20_000_000, 100_000_000
#: If the work found outside the samples exceeds this multiple of the timed work, it is more than half of the whole.
HIDDEN = 1.0
#: If a call on new inputs takes longer than this many calls on known ones, the known ones do less than half of the work.
REMEMBERED = 2.0
#: The calls that must move the running statistics.
MOVING = (TRAINING, TRAINING_GRADIENTS)


def probe(
    subject: Subject, rotation: Sequence[Tensors], factors: Sequence[float], median_ns: float
) -> Dict[Probe, str]:
    """Every probe that applies to the subject, with its message, empty where the claim holds; others are left out.

    Args:
        rotation: the inputs of the timed calls, in turn: the case's, multiplied by ``factors``.
        median_ns: of the timed calls.
    """
    found: Dict[Probe, Optional[str]] = {
        "waits_for_its_results": confirmed(lambda: _waits(subject, rotation[0], median_ns)),
        "computes_every_call": confirmed(lambda: _computes(subject, rotation[0], median_ns)),
        "results_keep_their_values": _keeps(subject, rotation),
        "inputs_stay_as_they_are": _leaves(subject, rotation, factors),
        "depends_on_its_inputs": _depends(subject, rotation),
        "moves_the_state_of_its_mode": _moves(subject, rotation),
        "reads_the_systems_clock": replaced(),
    }
    return {name: message for name, message in found.items() if message is not None}


def confirmed(attempt: Callable[[], str]) -> str:
    """The message, when ``ATTEMPTS`` in a row have one: another program's load passes, a shortcut stays."""
    message = ""
    for number in range(ATTEMPTS):
        if number:
            time.sleep(PAUSE_SECONDS)
        message = attempt()
        if not message:
            return ""
    return message


def repetitions(median_ns: float) -> int:
    """How often a call of this length is repeated."""
    return REPETITIONS if median_ns < LONG_NS else FEW


def _waits(subject: Subject, inputs: Tensors, median_ns: float) -> str:
    """No work is left after the wait: the device's queue is empty, reading a result costs what reading a tensor costs, and its
    values stay the same.

    What the reads return stays until the end, on both sides: whether memory is new or reused costs as much as a short call.
    """
    settle = min(max(PATIENCE * median_ns, LEAST_PATIENCE_NS), MOST_PATIENCE_NS) * 1e-9
    read_ns, control_ns, drain_ns, idle_ns, settled = [], [], [], [], True
    alive: List[Any] = []
    for i in range(repetitions(median_ns)):
        _, result = subject.timed(inputs)
        drain_ns.append(elapsed(subject.drain))
        idle_ns.append(elapsed(subject.drain))
        tensors = list(subject.named(result).values())
        spent, arrays = _read(subject, tensors)
        read_ns.append(spent)
        if i == 0:  # only for the first: settling takes time
            bits = [a.tobytes() for a in arrays]
            time.sleep(settle)
            settled = bits == subject.bits(tensors)
        made = [subject.adapter.tensor(np.array(a)) for a in arrays]
        subject.adapter.synchronize(tuple(made))
        subject.drain()
        spent, controls = _read(subject, made)
        control_ns.append(spent)
        alive += [result, arrays, made, controls]
    if not settled:
        return "results changed within %.3g ms after the wait for them returned" % (settle * 1e3)
    for spent_ns, usual_ns, doing in (
        (drain_ns, idle_ns, "the device's queue was busy for %.3g ms after the wait for the results"),
        (read_ns, control_ns, "reading the results took %.3g ms longer than reading tensors does"),
    ):
        hidden = min(spent_ns) - max(usual_ns)
        if hidden > HIDDEN * median_ns:
            return doing % (hidden * 1e-6) + "; the timed call took %.3g ms" % (median_ns * 1e-6)
    return ""


def _read(subject: Subject, tensors: Sequence[Any]) -> Tuple[int, List[np.ndarray]]:
    """Nanoseconds for reading the tensors, and their arrays."""
    begun = time.perf_counter_ns()
    arrays = [subject.adapter.array(t) for t in tensors]
    return time.perf_counter_ns() - begun, arrays


def elapsed(work: Callable[[], Any]) -> int:
    """Nanoseconds that it takes."""
    begun = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begun


def _computes(subject: Subject, known: Tensors, median_ns: float) -> str:
    """A call on new inputs takes no longer than one on known inputs."""
    new_ns: List[int] = []
    known_ns: List[int] = []
    for i in range(repetitions(median_ns)):
        for again, times in ((True, known_ns), (False, new_ns)):
            # other values of the same magnitude; made ahead of both calls, so that threads are equally idle before each
            new = subject.inputs(1.0 + 2.0**-6 * (2 * i + 1 + again))
            inputs = known if again else new
            subject.bits(inputs)  # read once: both are in the caches
            times.append(subject.timed(inputs)[0])
    if min(new_ns) > REMEMBERED * max(statistics.median(known_ns), median_ns):
        return "new inputs take at least %.3g times as long as known ones" % (min(new_ns) / statistics.median(known_ns))
    return ""


def _keeps(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """A result keeps its values when the layer is called again. Left out for a fit, whose result is the state."""
    if subject.step.call.kind == "fit":
        return None
    _, result = subject.timed(rotation[0])
    tensors = list(subject.named(result).values())
    before = subject.bits(tensors)
    subject.timed(rotation[1])
    return "" if subject.bits(tensors) == before else "a later call changed the results of an earlier one"


def _leaves(subject: Subject, rotation: Sequence[Tensors], factors: Sequence[float]) -> str:
    """The timed calls wrote into none of their inputs."""
    changed = [f for f, inputs in zip(factors, rotation) if subject.bits(inputs) != subject.bits(subject.inputs(f))]
    return "the timed calls wrote into their inputs" if changed else ""


def _depends(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """Two inputs, the second -2 times the first, do not give bitwise equal results.

    Left out for a fit, whose results are the state; for a network, which every step changes; and where the result may be beta
    whatever x is.
    """
    if subject.step.call in (FIT, LEARN) or _flat(subject, rotation[0]):
        return None
    results = [subject.bits(list(subject.named(subject.timed(inputs)[1]).values())) for inputs in rotation[:2]]
    return "inputs of opposite sign have the same results to the bit" if results[0] == results[1] else ""


def _flat(subject: Subject, inputs: Tensors) -> bool:
    """Whether no channel of x has a variance of at least epsilon, so that y may not depend visibly on x."""
    x = np.asarray(subject.adapter.array(inputs[0])).astype(np.float64)
    config = subject.case.config
    return not bool((x.var(config.reduce_axes) >= config.epsilon).any())


def _moves(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """In training each call moves the running statistics, otherwise none does. Left out for a subject without any."""
    if subject.case.subject != "batch_norm" or not 0.0 < subject.case.config.decay < 1.0:
        return None
    moved = []
    for inputs in rotation:
        before = {n: a.tobytes() for n, a in subject.state().items()}
        subject.timed(inputs)
        moved.append(any(a.tobytes() != before[n] for n, a in subject.state().items()))
    if subject.step.call in MOVING:
        return "" if all(moved) else "a call in training left the running statistics unchanged"
    return "a call outside training moved the running statistics" if any(moved) else ""
