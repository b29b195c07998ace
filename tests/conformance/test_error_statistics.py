"""Error statistics: what has a direction is seen, what has none is not accused, and alarms are as rare as is said."""

from __future__ import annotations

import dataclasses
import functools
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.stats import binomtest

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.many_channels import more_samples, samples
from bnspec.conformance.cases.shrinking import fewer_channels, smaller_axes
from bnspec.conformance.checks.error_statistics import bias_of, rounding_of_correction
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.repro.script import script
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS, CatalogueEntry, select
from bnspec.conformance.selftest.false_alarms.measure import Count
from bnspec.conformance.selftest.matrix.matrix import adapter_of
from bnspec.conformance.selftest.reference.rounding import downward, ties_away, to_odd, toward_zero
from bnspec.conformance.selftest.variants import roundings
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.draws import product, recorded_draws
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.records import Finding, TargetRecord

CLAUSE = "accuracy.errors_are_unbiased"
BIASED = [m.name for m in MUTANTS if CLAUSE in m.killed_by]
#: Correct variants that come closest, or whose errors are the largest.
UNBIASED = [
    *(p.name for p in select(["*"], "variant") if p.implementation.__module__ == roundings.__name__),
    *("unchanged", "newton_root", "power_root", "welford_by_reciprocals", "shifted_by_first_value", "half_arithmetic"),
    *("subtracting_update", "correction_folded_into_weight", "normalising_correction_declared", "half_statistics"),
    *("differentiated_graph", "scaler_unchanged", "scaler_by_rows"),
]


@functools.cache
def cases() -> list[tuple[Case, Oracle]]:
    """The samples of a quick run."""
    return [(case, Oracle(case)) for case in samples()]


def judged(entry: CatalogueEntry, case: Case, oracle: Oracle) -> Judgement | None:
    """The clause's judgement of an entry on a case; None where it is not judged."""
    adapter = adapter_of(entry.name)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        observation = run_case(adapter, *case.header())
        return judge(case, observation, adapter.conventions, oracle, checks_for([CLAUSE])).get(CLAUSE)


def judgements(name: str) -> list[Judgement]:
    """The judgements of an entry on the samples that it applies to."""
    (entry,) = select([name])
    found = [judged(entry, case, oracle) for case, oracle in cases() if entry.applies_to(case)]
    return [j for j in found if j is not None]


@pytest.mark.parametrize("name", BIASED)
def test_errors_of_one_direction_are_seen(name: str) -> None:
    """Each within its bound, and none of them by chance."""
    broken = [j for j in judgements(name) if not j.holds]
    assert broken
    assert all("on average" in j.message and "512 channels" in j.message for j in broken)


@pytest.mark.parametrize("name", UNBIASED)
def test_correct_variants_are_not_accused(name: str) -> None:
    """Roundings that are not to nearest even, roots that are off both ways, and the closest of the others."""
    found = judgements(name)
    assert found
    assert all(j.holds for j in found), [j.message for j in found]


def test_statistics_in_half_precision_are_not_judged_in_training() -> None:
    """Such sums stagnate: the clause says nothing of them."""
    (entry,) = select(["half_statistics"])
    case = dataclasses.replace(cases()[1][0], steps=cases()[1][0].steps[1:])
    assert case.config.dtype == "bfloat16"
    assert judged(entry, case, Oracle(case)) is None


def test_a_smaller_case_is_no_sample() -> None:
    """So shrinking keeps the channels and the values that a mean needs."""
    (entry,) = select(["output_truncated"])
    case, oracle = cases()[0]
    whole = judged(entry, case, oracle)
    assert whole is not None
    assert not whole.holds
    for smaller in (next(fewer_channels(case)), next(smaller_axes(case))):
        assert judged(entry, smaller, Oracle(smaller)) is None


def test_parameters_that_all_channels_share_are_no_sample() -> None:
    """One running variance for all is rounded alike in all: an inference is not judged then."""
    (entry,) = select(["unchanged"])
    case, _ = cases()[0]
    shared = {**case.arrays, "running_var": np.full_like(case.arrays["running_var"], 1.25)}
    alone = case.with_(arrays=shared, steps=case.steps[:1])
    assert judged(entry, alone, Oracle(alone)) is None


def test_means_of_errors_without_a_direction_are_as_far_off_as_chance_allows() -> None:
    """Of 20,000 means none is beyond one in a million, and one in a hundred beyond its own quantile."""
    rng = np.random.RandomState(7)
    errors = rng.uniform(-1.0, 1.0, (20_000, 512)) + rng.uniform(-0.5, 0.5, (20_000, 512))
    found = [bias_of("no_gain", e, 0.0) for e in errors]
    assert max(bias.ratio for bias in found) < 1.0
    beyond = sum(abs(bias.mean) > bias.chance(0.01) for bias in found)
    assert binomtest(beyond, len(found), 0.01).pvalue > 1e-6


def test_the_correction_of_a_sample_is_nearly_exact() -> None:
    """128 / 127 is rounded by 0.13 u at most in every precision; 16 / 15 by nearly a whole u in float32."""
    for precision in PRECISIONS.values():
        assert rounding_of_correction(128, (precision,)) < 0.13 * precision.unit_roundoff
    single = PRECISIONS["float32"]
    exact = np.float32(16 / 15).astype(np.float64) / (16 / 15) - 1.0
    assert rounding_of_correction(16, (single,)) == abs(exact)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_roundings_are_those_of_their_names(dtype: str) -> None:
    """Neighbours in the dtype around values that lie between them."""
    step = 2.0 * PRECISIONS[dtype].unit_roundoff
    values = np.array([1.0, 1.0 + 0.25 * step, 1.0 + 0.5 * step, 1.0 + 0.75 * step, -1.0 - 0.75 * step, np.inf])
    kept = {name: (f(values, dtype) - np.sign(values)) / step for name, f in ROUNDINGS.items()}
    wanted = {
        "toward_zero": [0, 0, 0, 0, 0],
        "downward": [0, 0, 0, 0, -1],
        "ties_away": [0, 0, 1, 1, -1],
        "to_odd": [0, 1, 1, 1, -1],
    }
    assert {name: list(found[:-1]) for name, found in kept.items()} == wanted
    assert all(np.isinf(found[-1]) for found in kept.values())


ROUNDINGS: Mapping[str, Callable[[np.ndarray, str], np.ndarray]] = {
    "toward_zero": toward_zero,
    "downward": downward,
    "ties_away": ties_away,
    "to_odd": to_odd,
}


def test_samples_are_drawn_as_they_say() -> None:
    """A script draws them again, bit for bit, also from a saved case."""
    for case in (*samples(), *more_samples()):
        saved = Case.loads(case.dumps())
        for name, array in saved.arrays.items():
            assert product(recorded_draws(saved.origin, name)).astype(array.dtype).tobytes() == array.tobytes()


def test_the_upper_limit_of_no_alarm_is_three_in_all_tests() -> None:
    """The rule of three; more alarms, a higher limit."""
    assert Count(distinct=1000).upper_limit == pytest.approx(3.0e-3, rel=0.01)
    assert Count(distinct=1000, alarms=1).upper_limit == pytest.approx(4.74e-3, rel=0.01)


def scripted(case: Case, step: int, output: str, mean: float, bound: float) -> str:
    """The script of a finding on torch.nn."""
    evidence = Evidence(
        step=step,
        call=case.steps[step].call.name,
        relation="no_gain",
        output=output,
        expected=0.0,
        got=mean,
        bound=bound,
        ratio=2.0,
    )
    target = TargetRecord("torch.nn", "cpu", "ready", "", "", {}, Conventions(running_correction=1).to_json())
    found = Finding(CLAUSE, "accuracy", "SHOULD", "torch.nn", "cpu", "deviates", 1, 1, 0, 2.0, "", evidence)
    return script(msgspec.structs.replace(found, shrunk="cases/a.json"), case, target)


OUTPUTS = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var")


@pytest.mark.parametrize(("step", "output"), [*((0, n) for n in OUTPUTS[:4]), *((1, n) for n in OUTPUTS)])
def test_every_output_has_a_script_of_fifteen_statements(step: int, output: str) -> None:
    """With the draws in place of 65,536 values. Raises NoScript otherwise."""
    text = scripted(cases()[0][0], step, output, -0.7, 0.4)
    assert "np.random.RandomState(1600).uniform(" in text
    assert "0 on average, within 0.4 u; got: -0.7 u." in text.replace("\n# ", " ")
    compile(text, "script", "exec")


@pytest.mark.slow
@pytest.mark.parametrize(("step", "output"), [(0, "y"), (1, "dx"), (1, "dgamma"), (1, "running_var")])
def test_a_script_computes_the_mean_of_the_check(step: int, output: str, tmp_path: Path) -> None:
    """PyTorch's means are small: where the bound is smaller, the script shows them and fails; else it ends well."""
    pytest.importorskip("torch")
    for bound, status in ((1e-9, 1), (0.8, 0)):
        path = tmp_path / "script.py"
        path.write_text(scripted(cases()[0][0], step, output, 0.0, bound), "utf-8")
        ended = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
        assert ended.returncode == status, ended.stderr
        assert abs(float(ended.stdout.split()[1])) < 0.2


def test_one_error_in_every_channel_is_infinitely_more_than_none() -> None:
    """Errors without a spread, of which none is admitted: their mean is no chance."""
    assert bias_of("no_offset", np.full(8, 0.25), 0.0).ratio == math.inf
    assert bias_of("no_offset", np.zeros(8), 0.0).ratio == 0.0
