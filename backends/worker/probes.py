"""Probes that a timed call did the requested work. Each probe is a claim, with an objection where it fails.

Correct outputs do not prove it: a layer can answer the observed call correctly but not the timed ones, cache results of known
inputs, or return before computing. Each probe detects one such shortcut from outside, by results and times. Probes that need
the exact answer (is every output of a timed call right?) are in ``bnspec.benchmarks``.

The threshold of a probe that compares times follows from its claim: it objects if less than half of the work is in the
samples. The least suspicious of ``REPETITIONS`` attempts counts, so noise alone raises no objection.

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

#: Attempts of a probe that compares times, and for calls longer than 2 ms, where noise is relatively smaller.
REPETITIONS, FEW, LONG_NS = 5, 3, 2e6
#: How often a timing objection must recur, and the pause between attempts.
ATTEMPTS, PAUSE_SECONDS = 3, 0.05
#: Nanoseconds allowed for a call that returned too early to finish: several times its apparent time, and at least 20 ms.
PATIENCE, LEAST_PATIENCE_NS, MOST_PATIENCE_NS = 4, 20_000_000, 100_000_000
#: If the work found outside the samples exceeds this multiple of the timed work, it is more than half of the whole.
HIDDEN = 1.0
#: If a call on new inputs takes longer than this many calls on known ones, the known ones do less than half of the work.
REMEMBERED = 2.0
#: Each of these calls must move all of the state, or none of it.
MOVING = (TRAINING, TRAINING_GRADIENTS)


def probe(
    subject: Subject, rotation: Sequence[Tensors], factors: Sequence[float], median_ns: float
) -> Dict[Probe, str]:
    """Every applicable probe of the subject with its objection, or ""; inapplicable probes are omitted.

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
    }
    return {name: said for name, said in found.items() if said is not None}


def confirmed(attempt: Callable[[], str]) -> str:
    """The objection, if ``ATTEMPTS`` in a row raise one: interference by other programs passes, a shortcut persists."""
    said = ""
    for number in range(ATTEMPTS):
        if number:
            time.sleep(PAUSE_SECONDS)
        said = attempt()
        if not said:
            return ""
    return said


def repetitions(median_ns: float) -> int:
    """The number of attempts for a call of this length."""
    return REPETITIONS if median_ns < LONG_NS else FEW


def _waits(subject: Subject, inputs: Tensors, median_ns: float) -> str:
    """After the wait no work is left: reading a result is as fast as reading a plain tensor, and its value no longer changes."""
    settle = min(max(PATIENCE * median_ns, LEAST_PATIENCE_NS), MOST_PATIENCE_NS) * 1e-9
    read_ns, control_ns, settled = [], [], True
    for i in range(repetitions(median_ns)):
        _, result = subject.timed(inputs)
        begun = time.perf_counter_ns()
        arrays = [subject.adapter.array(t) for t in subject.named(result).values()]
        read_ns.append(time.perf_counter_ns() - begun)
        if i == 0:  # only for the first: settling takes time
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


def _computes(subject: Subject, known_inputs: Tensors, median_ns: float) -> str:
    """A call on new inputs takes no longer than one on known inputs."""
    new_ns: List[int] = []
    known_ns: List[int] = []
    for i in range(repetitions(median_ns)):
        for known, times in ((True, known_ns), (False, new_ns)):
            # other values of the same magnitude, made before both calls, so that threads have idled equally long before each
            new = subject.inputs(1.0 + 2.0**-6 * (2 * i + 1 + known))
            inputs = known_inputs if known else new
            subject.bits(inputs)  # read once, so that both are in the caches
            times.append(subject.timed(inputs)[0])
    if min(new_ns) > REMEMBERED * max(statistics.median(known_ns), median_ns):
        return "new inputs take at least %.3g times as long as known ones" % (min(new_ns) / statistics.median(known_ns))
    return ""


def _keeps(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """A result does not change when the layer is called again. Not applied to a fit, whose result is the state."""
    if subject.step.call.kind == "fit":
        return None
    _, result = subject.timed(rotation[0])
    tensors = list(subject.named(result).values())
    before = subject.bits(tensors)
    subject.timed(rotation[1])
    return "" if subject.bits(tensors) == before else "a later call has changed the results of an earlier one"


def _leaves(subject: Subject, rotation: Sequence[Tensors], factors: Sequence[float]) -> str:
    """The timed calls have not written to their inputs."""
    changed = [f for f, inputs in zip(factors, rotation) if subject.bits(inputs) != subject.bits(subject.inputs(f))]
    return "the timed calls have written into their inputs" if changed else ""


def _depends(subject: Subject, rotation: Sequence[Tensors]) -> Optional[str]:
    """Two inputs, the second -2 times the first, do not give bitwise equal results.

    Not applied to a fit, whose results are the state; to a network, which changes with every step; or where the result may be
    beta for every x.
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
    """Every training call moves the running statistics; no other call does. Not applied to stateless subjects."""
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
