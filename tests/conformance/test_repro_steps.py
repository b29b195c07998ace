"""``bnspec repro``: scripts of scalers, and of more steps than one in JAX."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.conformance.repro.script import writers
from bnspec.contract import LayerConfig
from bnspec.model.call import FIT, TRAINING_GRADIENTS, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.reports.run.evidence import Evidence
from tests.support.scripts import MODULES, WITH_LAYERS, case_of, finding, run, text_of


@pytest.mark.parametrize("backend", sorted(writers().keys() - set(WITH_LAYERS)))
def test_a_fit_of_chunks_and_a_transform_of_any_rank_are_written(backend: str) -> None:
    """The script stands alone; one of a scaler that says no statistics, or transforms nothing, says so."""
    fit = Step(FIT, ("chunk0", "chunk1"), True)
    steps = fit, Step(TRANSFORM, ("x",), False)
    values = np.arange(12.0, dtype=np.float32).reshape(3, 2, 2)
    config = LayerConfig(3, 1, 2, 0.0, 0.0, "float32", "float32", False)
    case = Case("input_norm", config, {"chunk0": values, "chunk1": values[:1] + 1, "x": values}, steps)
    for step, (output, index, why) in enumerate((("mean", (1,), "returns no"), ("y", (2, 1, 1), "not centred"))):
        evidence = Evidence(
            step=step,
            call=steps[step].call.name,
            relation="within_bound",
            output=output,
            index=index,
            expected=1.0,
            got=2.0,
            bound=0.1,
        )
        try:
            assert f"{output}[{', '.join(map(str, index))}" in text_of(finding(backend, "input.fit", evidence), case)
        except NoScript as reason:
            assert why in str(reason)  # noqa: PT017  # either is right, and it is said which


@pytest.mark.parametrize("backend", ["flax.linen", "keras.jax", "flax.nnx"])
def test_a_second_step_continues_from_the_first(backend: str, tmp_path: Path) -> None:
    """JAX keeps what it traced of a function: the statistics that the second call reads are those that the first left."""
    if importlib.util.find_spec(MODULES[backend]) is None:
        pytest.skip(f"{MODULES[backend]} is not installed")
    step = Step(TRAINING_GRADIENTS, ("x", "dy"), True)
    case = case_of(step, Step(TRAINING_GRADIENTS, ("x", "dy"), False))
    x, (_, old), decay = case.arrays["x"].astype(float), case.arrays["running_mean"].astype(float), 0.75
    expected = decay * (decay * old + (1 - decay) * x[:, 1].mean()) + (1 - decay) * x[:, 1].mean()
    evidence = Evidence(
        step=1,
        call=step.call.name,
        relation="within_bound",
        output="running_mean",
        index=(1,),
        expected=float(expected),
        got=0.0,
        bound=1e-6,
    )
    text = text_of(finding(backend, "running.mean", evidence), case)
    end = run(text, tmp_path, writers()[backend].environment)
    assert end.returncode == 0, end.stdout + end.stderr
