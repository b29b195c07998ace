"""What a script says of the number that it expects: the formula of each output, for people."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.arithmetic.quad import quad
from bnspec.conformance.repro.subject import Shown
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.records import Finding

#: What an output is, for people; {var} depends on the conventions. The equations themselves are bnspec/equations/batch_norm.py.
FORMULAS = {
    "training y": "gamma * (x - mean(x)) / sqrt(var(x) + epsilon) + beta",
    "inference y": "gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta",
    "training dx": "gamma / sqrt(var(x) + epsilon) * (dy - mean(dy) - zhat * mean(dy * zhat))",
    "inference dx": "gamma * dy / sqrt(running_var + epsilon)",
    "dgamma": "sum(dy * zhat)",
    "dbeta": "sum(dy)",
    "by_x": "the gradient of sum(v * dx) by x",
    "by_dy": "the gradient of sum(v * dx) by dy",
    "by_gamma": "the gradient of sum(v * dx) by gamma",
    "along": "the derivative of y along v in x",
    "training running_mean": "decay * running_mean + (1 - decay) * mean(x)",
    "training running_var": "decay * running_var + (1 - decay) * {var}",
    "inference running_mean": "as it was",
    "inference running_var": "as it was",
    "mean": "the mean of all chunks",
    "var": "the population variance of all chunks",
    "transform y": "(x - mean) / sqrt(var)",
    "inverse x": "y * sqrt(var) + mean",
}


def shown_of(finding: Finding, case: Case, conventions: Mapping[str, object]) -> Shown:
    """The finding with what the script says of the expected value."""
    shown = Shown(finding, case, "", 0.0, declared(conventions))
    if "output" not in shown.evidence or shown.step >= len(case.steps):
        return shown
    return Shown(finding, case, _formula(shown, conventions), _rest(shown), shown.conventions)


def declared(conventions: Mapping[str, object]) -> Conventions | None:
    """The conventions on record; None where another version wrote it, which this one cannot read."""
    try:
        return Conventions.from_json(conventions)
    except UsageError:
        return None


def _formula(shown: Shown, conventions: Mapping[str, object]) -> str:
    case, call, output = shown.case, shown.call(shown.step).call, shown.output
    mode = call.mode or call.name
    if case.settings_at(shown.step)[1] and conventions.get("frozen_gradients") == "constants":
        mode = "inference"  # a frozen layer computes by its running statistics
    formula = FORMULAS.get(f"{mode} {output}", FORMULAS.get(output, "the exact value"))
    corrected = conventions.get("running_correction") == 1
    formula = formula.format(var="m / (m - 1) * var(x)" if corrected else "var(x)")
    if not case.config.affine and output in ("y", "dx"):
        formula = formula.replace("gamma * ", "").replace("gamma /", "1 /").replace(" + beta", "")
    if call.kind == "transform" and shown.conventions is not None and shown.conventions.input_epsilon:
        formula = formula.replace("sqrt(var)", f"sqrt(var + {shown.conventions.input_epsilon!r})")
    if call.has_mask:
        formula += ", over what the mask keeps"
    if shown.finding.clause == "input.constant_feature_keeps_its_unit":
        formula = "x - mean, since the feature was constant in the training set"
    return formula


def _rest(shown: Shown) -> float:
    """What float64 cannot hold of the expected value, where float64 results are judged and it is known."""
    case, evidence, step = shown.case, shown.evidence, shown.step
    if case.config.dtype != "float64" or not {"expected", "bound", "index"} <= evidence.keys():
        return 0.0
    if not case.steps[step].fresh or case.steps[step].option("initial") or case.subject != "batch_norm":
        return 0.0  # the state that the step met was observed, and is not on record
    if shown.conventions is None or shown.call(step).option("relation"):
        return 0.0
    seen = case.overridden(case.overrides(step))
    oracle = Oracle(case)  # those of its layers refer to it weakly
    answers = oracle.overridden(case.overrides(step)).expect(case.steps[step], seen.arrays, shown.conventions)
    if shown.output not in answers:
        return 0.0
    expected = answers[shown.output]
    index = tuple(evidence["index"])
    recorded = float(str(evidence["expected"]))
    if float(expected.rounded[index]) != recorded:
        return 0.0
    return float(expected.value[index] - quad(recorded))
