"""Checks of the families contract and purity: what any callable owes its caller."""

from __future__ import annotations

from bnspec.conformance.checks.check import Check, count_of, everywhere, keeps_nothing, only_if
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.model.call import BETWEEN, CALLS, INVERSE, LEARN, TRAINING, TRAINING_GRADIENTS, TRANSFORM
from bnspec.model.case import Case, Step

EVERY = tuple(call for call in CALLS.values() if not call.between and call != LEARN)
#: Results shaped like x; all others have a value per channel.
LIKE_X = ("y", "dx", "x", "along", "by_x", "by_dy", "third")


def accepts(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A call inside the conventions does not raise."""
    result = exam.result(i)
    if exam.step(i).call in (TRANSFORM, INVERSE) and not exam.fitted(i):
        return None  # the fit before has failed: that is where it is said
    if result.status != "error":
        return KEPT
    return exam.broken(i, "returns", f"raised {result.message}", exception=result.message)


def shapes(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Every result has its shape."""
    case, step, result = exam.case, exam.step(i), exam.result(i)
    like_x = case.arrays[step.inputs[0]].shape if step.inputs else ()
    for name, array in (*result.outputs.items(), *result.after.items()):
        wanted = like_x if name in LIKE_X else (case.config.channels,)
        if array.shape != wanted:
            return exam.misshapen(i, name, wanted, array.shape)
    whole = step.call.has_gradients and step.call.kind != "some_gradients" and not exam.frozen(i)
    if whole and exam.built(i).config.affine:
        missing = [n for n in ("dx", "dgamma", "dbeta") if n not in result.outputs]
        if missing:
            return absent(exam, i, missing)
    return KEPT


def absent(exam: Examination, i: int, missing: list[str]) -> Judgement:
    """The judgement that these outputs are missing."""
    return exam.broken(i, "present", f"{', '.join(missing)} missing", output=missing[0], names=missing)


def leaves_arguments(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """No argument or parameter was written to."""
    written = exam.result(i).written
    return exam.broken(i, "unchanged", f"wrote into {', '.join(written)}", names=written) if written else KEPT


def results_stay(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The results of the calls before have the bits that they had."""
    overwritten = exam.result(i).overwritten
    if not overwritten:
        return KEPT
    earlier = max(step for step, _ in overwritten)
    changed = [name for step, name in overwritten if step == earlier]
    message = f"{', '.join(changed)} of step {earlier} changed"
    return exam.broken(i, "unchanged", message, output=changed[0], names=changed, compared_with=earlier)


def results_are_new(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """No result shares memory with what the caller or the layer can write to."""
    aliases = exam.result(i).aliases
    if not exam.conventions.mutable_tensors:
        aliases = tuple((a, b) for a, b in aliases if b.startswith("running_"))
    if not aliases:  # where addresses are unknown, nothing is said
        return KEPT if exam.result(i).addressed else None
    message = ", ".join(f"{a} shares memory with {b}" for a, b in aliases)
    output = aliases[0][0]
    names = [b for a, b in aliases if a == output]
    return exam.broken(i, "separate_memory", message, output=output, names=names)


def stays_inside(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Nothing beside an array was read or written."""
    overruns = exam.result(i).overruns
    if not overruns:
        return KEPT
    names = [words.split(" ")[-1] for words in overruns]
    return exam.broken(i, "inside", ", ".join(overruns), output=None, names=list(dict.fromkeys(names)))


def reads_before_writing(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y by the parameters as they were before the call."""
    return exam.within(i, ("y",))


def is_ordinary(case: Case, step: Step) -> bool:
    """Whether the counts are ordinary: degenerate ones have clauses of their own."""
    if not step.inputs or step.call.kind == "learn":
        return True
    if step.call.kind == "fit":
        return all(case.arrays[n].size for n in step.inputs)
    if keeps_nothing(case, step) or step.call.kind == "late_gradients":
        return False  # a framework may refuse them
    return count_of(case, step) > 1 or step.call.mode != "training"


#: What is done with a layer between its calls, and a step of training around it, are accepted like a call.
BETWEEN_CALLS = (*BETWEEN, LEARN)


#: contract.completes is judged by the runner: a case that crashed or hung has no results to read.
CHECKS = (
    Check("contract.accepts", (*EVERY, *BETWEEN_CALLS), accepts, only_if(is_ordinary), reads_errors=True),
    Check("contract.shapes", EVERY, shapes, everywhere),
    Check("contract.stays_in_its_buffers", EVERY, stays_inside, everywhere, reads_errors=True),
    Check("purity.arguments", EVERY, leaves_arguments, everywhere),
    Check("purity.shared_arguments", (TRAINING, TRAINING_GRADIENTS), reads_before_writing, everywhere, of_shared=True),
    Check("purity.results_stay", EVERY, results_stay, everywhere),
    Check("purity.results_are_new", EVERY, results_are_new, everywhere),
)
