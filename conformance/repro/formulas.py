"""What a script says of the number that it expects: the formula of each output, for people."""

from __future__ import annotations

import dataclasses

from bnspec.arithmetic.quad import quad
from bnspec.conformance.repro.deviation import Deviation
from bnspec.oracle.oracle import Oracle

#: What an output is, for people; {var} depends on the conventions. The equations themselves are bnspec/equations/batch_norm.py.
FORMULAS = {
    "training y": "gamma * (x - mean(x)) / sqrt(var(x) + epsilon) + beta",
    "inference y": "gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta",
    "training dx": "gamma / sqrt(var(x) + epsilon) * (dy - mean(dy) - zhat * mean(dy * zhat))",
    "inference dx": "gamma * dy / sqrt(running_var + epsilon)",
    "dgamma": "sum(dy * zhat)",
    "dbeta": "sum(dy)",
    "by_x": "the gradient of sum(v * dx) by x",
    "third": "the gradient by x of sum(v * g), g that of sum(v * dx)",
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
#: Where a clause expects something else than the output's formula.
FORMULAS_OF_CLAUSES = {
    "input.constant_feature_keeps_its_unit": "x - mean, since the feature was constant in the training set",
    "running.unrolled": "the statistic after all steps, each computed without rounding",
}


def explained(deviation: Deviation) -> Deviation:
    """The deviation with what its script says of the expected value."""
    if deviation.evidence.output is None:
        return deviation
    return dataclasses.replace(deviation, formula=_formula(deviation), rest=_rest(deviation))


def _formula(deviation: Deviation) -> str:
    case, call, output = deviation.case, deviation.call.call, deviation.output
    declared = deviation.target.conventions
    mode = call.mode or call.name
    if case.settings_at(deviation.step)[1] and declared.get("frozen_gradients") == "constants":
        mode = "inference"  # a frozen layer computes by its running statistics
    if deviation.finding.clause in FORMULAS_OF_CLAUSES:
        return FORMULAS_OF_CLAUSES[deviation.finding.clause]
    formula = FORMULAS.get(f"{mode} {output}", FORMULAS.get(output, "the value"))
    corrected = declared.get("running_correction") == 1
    formula = formula.format(var="m / (m - 1) * var(x)" if corrected else "var(x)")
    if not case.config.affine and output in ("y", "dx"):
        formula = formula.replace("gamma * ", "").replace("gamma /", "1 /").replace(" + beta", "")
    if call.kind == "transform" and deviation.conventions is not None and deviation.conventions.input_epsilon:
        formula = formula.replace("sqrt(var)", f"sqrt(var + {deviation.conventions.input_epsilon!r})")
    return f"{formula}, over what the mask keeps" if call.has_mask else formula


def _rest(deviation: Deviation) -> float:
    """What float64 cannot hold of the expected value, where float64 results are judged and it is known."""
    case, evidence, step = deviation.case, deviation.evidence, deviation.call
    if case.config.dtype != "float64" or evidence.relation != "within_bound" or evidence.index is None:
        return 0.0
    if not step.fresh or step.option("initial") or step.option("relation") or case.subject != "batch_norm":
        return 0.0  # the state that the step started from was observed, and is not on record
    if deviation.conventions is None or evidence.expected is None:
        return 0.0
    oracle = Oracle(case)  # those of its layers refer to it weakly
    overridden = oracle.overridden(case.overrides(deviation.step))
    answers = overridden.expect(step, deviation.built.arrays, deviation.conventions)
    if deviation.output not in answers:
        return 0.0
    expected, recorded = answers[deviation.output], float(evidence.expected)
    if float(expected.rounded[evidence.index]) != recorded:
        return 0.0
    return float(expected.value[evidence.index] - quad(recorded))
