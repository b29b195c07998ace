"""A finding as a standalone script: the lines, put together from the case, the framework's writer and the look."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from bnspec.arithmetic import quad
from bnspec.case import Case
from bnspec.clauses import CLAUSES
from bnspec.conformance.repro.flax_scripts import LinenWriter
from bnspec.conformance.repro.jax_scripts import FlaxWriter, JaxNumpyWriter
from bnspec.conformance.repro.keras_other_scripts import KerasJaxWriter, KerasTorchWriter
from bnspec.conformance.repro.keras_scripts import KerasWriter
from bnspec.conformance.repro.literals import NoScript
from bnspec.conformance.repro.looks import look
from bnspec.conformance.repro.shown import Look, Shown
from bnspec.conformance.repro.standardize_scripts import StandardizeWriter
from bnspec.conformance.repro.tensorflow_scripts import FusedWriter, MomentsWriter
from bnspec.conformance.repro.torch_scripts import DecomposedWriter, FunctionWriter, ModuleWriter
from bnspec.conformance.repro.writer import Writer, names_of, python_name
from bnspec.errors import UsageError
from bnspec.oracle import Oracle
from bnspec.profiles import Profile
from bnspec.reports.records import Finding, TargetRecord

MAX_LINES = 15
#: Lines are joined up to this width, and where that is not enough, up to twice as much.
WIDTH = 120

WRITERS: Mapping[str, type[Writer]] = {
    "torch.nn": ModuleWriter,
    "torch.functional": FunctionWriter,
    "torch.decomposed": DecomposedWriter,
    "jax.numpy": JaxNumpyWriter,
    "jax.nn": StandardizeWriter,
    "flax.nnx": FlaxWriter,
    "flax.linen": LinenWriter,
    "tensorflow.nn": MomentsWriter,
    "tensorflow.fused": FusedWriter,
    "keras": KerasWriter,
    "keras.torch": KerasTorchWriter,
    "keras.jax": KerasJaxWriter,
}

#: What the writers know to write.
PASSES = ("training", "inference", "training_gradients", "inference_gradients")
CALLS = {"batch_norm": PASSES, "input_norm": ("fit", "transform", "inverse")}

#: What an output is, for people; {var} depends on the profile. The equations themselves are bnspec/equations.py.
FORMULAS = {
    "training y": "gamma * (x - mean(x)) / sqrt(var(x) + epsilon) + beta",
    "inference y": "gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta",
    "training dx": "gamma / sqrt(var(x) + epsilon) * (dy - mean(dy) - zhat * mean(dy * zhat))",
    "inference dx": "gamma * dy / sqrt(running_var + epsilon)",
    "dgamma": "sum(dy * zhat)",
    "dbeta": "sum(dy)",
    "training running_mean": "decay * running_mean + (1 - decay) * mean(x)",
    "training running_var": "decay * running_var + (1 - decay) * {var}",
    "inference running_mean": "as it was",
    "inference running_var": "as it was",
    "mean": "the mean of all chunks",
    "var": "the population variance of all chunks",
    "transform y": "(x - mean) / sqrt(var)",
    "inverse x": "y * sqrt(var) + mean",
}


def script(finding: Finding, case: Case, target: TargetRecord) -> str:
    """The script's text. Raises NoScript: there is none for this backend, case or check; the message says why."""
    writer_class = WRITERS.get(finding.backend)
    if writer_class is None:
        raise NoScript(f"no writer of standalone scripts exists for {finding.backend}")
    if "seen once" in finding.message:
        raise NoScript("it was seen once, and not again when the case was repeated")
    unknown = sorted({s.call for s in case.steps} - set(CALLS.get(case.subject, ())))
    if unknown:
        raise NoScript(f"the writers do not know {case.subject}'s {', '.join(unknown)}")
    shown = _shown(finding, case, target.profile)
    looked = look(shown)
    kept = needed(case, sorted(looked.names))
    pruned = case.with_(steps=tuple(case.steps[k] for k in kept))
    writer = writer_class(pruned, finding.device, looked.wanted)
    for lines in versions(writer, looked, kept, case, heads(finding, target, writer)):
        if len(lines) <= MAX_LINES:
            return "\n".join(lines) + "\n"
    raise NoScript(f"it would take {len(lines)} lines, more than {MAX_LINES}")


def needed(case: Case, looked_at: Sequence[int]) -> list[int]:
    """The steps to perform: for each that is looked at all since its layer was built."""
    kept: set[int] = set()
    for k in looked_at:
        start = max(j for j in range(k + 1) if j == 0 or case.steps[j].fresh)
        kept.update(range(start, k + 1))
    return sorted(kept)


def versions(
    writer: Writer, looked: Look, kept: Sequence[int], case: Case, heads: Sequence[list[str]]
) -> Iterator[list[str]]:
    """The script, first at its ease and then with lines joined."""
    arrays = _arrays(writer)
    build = writer.build()
    calls: list[str] = []
    for k in kept[:-1]:
        calls += _restarted(writer, case, k, kept) + writer.call(case.steps[k], looked.names.get(k, "y"))
        calls += looked.between(writer) if k == min(looked.names) else []
    calls += _restarted(writer, case, looked.last, kept) + looked.before(writer)
    last = writer.call(case.steps[looked.last], looked.names[looked.last])
    after = looked.after(writer)
    if looked.raises:
        if len(kept) == 1:
            build, last = [], build + last
        last = ["try:", *("    " + line for line in last)]
    for head, plain, given, end in (
        (heads[0], True, [*arrays, *build], after),
        (heads[0], False, [*arrays, *build], after),
        (heads[1], False, [*arrays, *build], after),
        (heads[1], False, [*join(arrays, WIDTH), *build], after),
        (heads[1], False, [*join(arrays, WIDTH), *build], join(after, WIDTH)),
        (heads[1], False, [*join(arrays, 2 * WIDTH), *join(build, 2 * WIDTH)], join(after, 2 * WIDTH)),
    ):
        yield [*head, *_imports(writer, plain), *writer.preamble(), *given, *calls, *last, *end]


def _restarted(writer: Writer, case: Case, k: int, kept: Sequence[int]) -> list[str]:
    return writer.restart() if case.steps[k].fresh and k != kept[0] else []


def _arrays(writer: Writer) -> list[str]:
    """A line for each array that the steps take; parts of x are cut out where they are used."""
    names = list(dict.fromkeys(n for s in writer.case.steps for n in names_of(s)))
    lines = {}
    for name in names:
        if writer.is_part(name):
            name = name.partition("[")[0]
        lines[name] = f"{python_name(name)} = {writer.array(name)}"
    return list(lines.values())


def _imports(writer: Writer, one_a_line: bool) -> list[str]:
    """The imports, one a line or in one line."""
    listed = ["import sys", "import numpy as np", *writer.imports]
    if one_a_line:
        return listed
    plain = [line.removeprefix("import ") for line in listed if line.startswith("import ")]
    return ["import " + ", ".join(plain), *(line for line in listed if line.startswith("from "))]


#: Names, the tuple that they are assigned, and a comment. What is joined assigns as many values as names, by its making.
_ASSIGNMENT = re.compile(r"^([\w.]+(?:, [\w.]+)*) = ([^#]*?)(?:  # (.*))?$")


def join(lines: Sequence[str], width: int) -> list[str]:
    """Neighbouring assignments in one line each, where they do not read each other and fit."""
    groups: list[list[re.Match[str]]] = []
    joined: list[str] = []
    for line in lines:
        now = _ASSIGNMENT.match(line)
        group = groups[-1] if groups else []
        fits = bool(joined) and len(joined[-1]) + len(line) <= width
        if now and group and fits and not any(_reads(now, m) for m in group):
            group.append(now)
            comments = "; ".join(m[3] for m in group if m[3])
            text = ", ".join(m[1] for m in group) + " = " + ", ".join(m[2] for m in group)
            joined[-1] = f"{text}  # {comments}" if comments else text
        else:
            groups.append([now] if now else [])
            joined.append(line)
    return joined


def _reads(now: re.Match[str], before: re.Match[str]) -> bool:
    """Whether an assignment needs, in its values or its targets, what the one before it assigns."""
    names = before[1].split(", ")
    return any(re.search(rf"\b{re.escape(name)}\b", now[1] + " " + now[2]) for name in names)


def heads(finding: Finding, target: TargetRecord, writer: Writer) -> list[list[str]]:
    """The opening comments, long and short: who, where, which clause, and what class of deviation it is."""
    releases = ", ".join(f"{p} {target.versions[p]}" for p in writer.packages if p in target.versions)
    clause = CLAUSES.get(finding.clause)
    statement = f": {clause.statement}" if clause else ""
    place = f"{releases or finding.backend} on {finding.device}"
    first = f"# {finding.backend} ({place}) deviates from {finding.clause}, a {finding.level}{statement}"
    run = f"; run with {writer.environment}" if writer.environment and finding.device == "cpu" else ""
    second = f"# {finding.known or 'not classed'}{run}"
    kind = (finding.known.partition(":")[0] or "not classed") + run
    short = f"# {finding.backend} ({place}) deviates from {finding.clause}, a {finding.level}; {kind}"
    return [[first, second], [short]]


def _shown(finding: Finding, case: Case, profile: Mapping[str, object]) -> Shown:
    """The finding with what the script says of the expected value."""
    shown = Shown(finding, case, "")
    if "output" not in shown.evidence or shown.step >= len(case.steps):
        return shown
    call, output = case.steps[shown.step].call, shown.output
    mode = call.partition("_")[0]
    formula = FORMULAS.get(f"{mode} {output}", FORMULAS.get(output, "the exact value"))
    corrected = profile.get("running_correction") == 1
    formula = formula.format(var="m / (m - 1) * var(x)" if corrected else "var(x)")
    if not case.config.affine and output in ("y", "dx"):
        formula = formula.replace("gamma * ", "").replace("gamma /", "1 /").replace(" + beta", "")
    return Shown(finding, case, formula, _rest(shown, profile))


def _rest(shown: Shown, profile: Mapping[str, object]) -> float:
    """What float64 cannot hold of the expected value, where float64 results are judged and it is known."""
    case, evidence = shown.case, shown.evidence
    if case.config.dtype != "float64" or not {"expected", "bound", "index"} <= evidence.keys():
        return 0.0
    if not case.steps[shown.step].fresh or case.subject != "batch_norm":
        return 0.0  # the state that the step met was observed, and is not on record
    try:
        declared = Profile.from_json(profile)
    except UsageError:  # another version's profile
        return 0.0
    expected = Oracle(case).expect(case.steps[shown.step], case.arrays, declared)[shown.output]
    index = tuple(evidence["index"])
    recorded = float(str(evidence["expected"]))
    if float(expected.rounded[index]) != recorded:
        return 0.0
    return float(expected.value[index] - quad(recorded))
