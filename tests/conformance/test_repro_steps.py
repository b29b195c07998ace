"""``bnspec repro``: scripts of scalers, and of more steps than one in JAX."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.scripts.literals import NoScript, drawn, numpy_expression
from bnspec.conformance.repro.execute import said_variables
from bnspec.conformance.repro.script import writers
from bnspec.contract import LayerConfig
from bnspec.model.call import FIT, TRAINING_GRADIENTS, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.draws import Uniform, product
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.records import Finding
from tests.support.scripts import WITH_LAYERS, case_of, finding, not_installed, run, text_of

#: What some scalers do not give, and why.
NO_MEAN = {"sklearn.scale": "returns no", "tensorflow.image": "returns no", "executorch.batch": "keeps no statistics"}
NO_Y = {
    **dict.fromkeys(("sklearn.csr", "sklearn.csr.parts", "sklearn.csc"), "not centred"),
    "onnxruntime.opset9.saved": "that of onnxruntime.opset9",
    "mindspore.ops.saved": "statistics are what is asked for",
}


@pytest.mark.parametrize("backend", sorted(writers().keys() - set(WITH_LAYERS)))
def test_a_fit_of_chunks_and_a_transform_of_any_rank_are_written(backend: str) -> None:
    """The script stands alone; one of a scaler that says no statistics, or transforms nothing, says so."""
    fit = Step(FIT, ("chunk0", "chunk1"), True)
    steps = fit, Step(TRANSFORM, ("x",), False)
    values = np.arange(12.0, dtype=np.float32).reshape(3, 2, 2)
    config = LayerConfig(3, 1, 2, 0.0, 0.0, "float32", "float32", False)
    case = Case("input_norm", config, {"chunk0": values, "chunk1": values[:1] + 1, "x": values}, steps)
    for step, (output, index, why) in enumerate((("mean", (1,), NO_MEAN), ("y", (2, 1, 1), NO_Y))):
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
        found = finding(backend, "input.fit", evidence)
        if backend in why:
            with pytest.raises(NoScript, match=why[backend]):
                text_of(found, case)
        else:
            assert f"{output}[{', '.join(map(str, index))}" in text_of(found, case)


@pytest.mark.parametrize("backend", ["flax.linen", "keras.jax", "flax.nnx"])
def test_a_second_step_continues_from_the_first(backend: str, tmp_path: Path) -> None:
    """JAX keeps what it traced of a function: the statistics that the second call reads are those that the first left."""
    if missing := not_installed(backend):
        pytest.skip(f"{missing} is not installed")
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


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["packed", "transposed"])
def test_a_block_of_draws_is_written_as_that_block(order: tuple[int, ...]) -> None:
    """What a case was reduced to is drawn again; other values, and draws of more than fits, are not."""
    factors = [Uniform(3, 1.0 - 1e-6, 1.0, (40, 4)), Uniform(4, 2.0, 3.0, (4,))]
    array = product(factors).astype(np.float32)[5:30, 1:3].transpose(order).copy().transpose(order)
    written = drawn(array, factors)
    assert written is not None
    again = eval(numpy_expression(written, '"float32"'), {"np": np})  # noqa: S307  # written here
    assert again.tobytes() == array.tobytes()
    assert again.strides == array.strides
    assert drawn(array + 1, factors) is None
    assert drawn(np.empty((0, 4), np.float32), [Uniform(1, 0.0, 1.0, (10**12,)), Uniform(1, 0.0, 1.0, (0, 1))]) is None
    assert drawn(array, [Uniform(1, 0.0, 1.0, (10**6, 10**6))]) is None


@pytest.mark.parametrize(
    ("backend", "variables"),
    [("sklearn.array_api", {"SCIPY_ARRAY_API": "1"}), ("keras.jax", {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"})],
)
def test_a_script_is_run_with_the_variables_that_it_names(backend: str, variables: dict[str, str]) -> None:
    """As its reader is told to run it; on a device it is told none."""
    finding = Finding("input.fit", "input", "MUST", backend, "cpu", "deviates", 1, 1, 0, 2.0, case=None)
    assert said_variables(finding) == variables
    assert said_variables(msgspec.structs.replace(finding, device="cuda:0")) == {}
