"""``bnspec repro`` on the further calls: layers built otherwise, relations, lives, refusals, masks; run in PyTorch where it is."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.clauses import CLAUSES
from bnspec.conformance.cases.relations import derived
from bnspec.conformance.repro.assembly import fold, in_line, join
from bnspec.conformance.repro.script import MAX_LINES, script
from bnspec.contract import LayerConfig
from bnspec.model.call import (
    CALLS,
    CLONE,
    FREEZE,
    INFERENCE,
    INFERENCE_GRADIENTS,
    RESET,
    SET_DECAY,
    SWAP,
    TRAINING,
    TRAINING_GRADIENTS,
    TRAINING_MASKED,
    Call,
)
from bnspec.model.case import PARAMETERS, SEPARATOR, Case, Step
from bnspec.model.conventions import Conventions
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.run.records import Finding, TargetRecord

TRAIN, DIFFERENTIATE = Step(TRAINING, ("x",), True), Step(TRAINING_GRADIENTS, ("x", "dy"), True)
PROFILE = Conventions(running_correction=1, count_one="raises", frozen_gradients="batch")


def related(call: Call, inputs: tuple[str, ...], **options: Any) -> Step:
    """A call on a layer built for it."""
    return Step(call, inputs, True, tuple(options.items()))


def case_of(*steps: Step) -> Case:
    """Three rows of two channels; the arrays that the steps name are derived, or made here."""
    x = np.array([[1.5, -2.0], [0.25, 4.0], [3.0, 7.5]], np.float32)
    arrays = {"x": x, "dy": np.where([[0], [1], [1]], x[::-1], np.float32(0)), "v": x * 2, "none": x[:0]}
    arrays |= {
        "wide": np.repeat(x, 2, 1),
        "more": np.arange(4, dtype=np.float32),
        "mask": np.array([[0], [1], [1]], bool),
    }
    parameters = {"gamma": [0.5, 2.0], "beta": [-1.0, 0.25], "running_mean": [0.5, 1.0], "running_var": [2.0, 4.0]}
    arrays |= {n: np.array(v, np.float32) for n, v in parameters.items()}
    config = LayerConfig(2, 1, 2, 0.001, 0.75, "float32", "float32")
    named = {n for s in steps for n in s.inputs} | {str(v) for s in steps for k, v in s.options if k in PARAMETERS}
    arrays |= {n: derived(n, arrays, config) for n in named if SEPARATOR in n}
    used = {n: a for n, a in arrays.items() if n in {*named, *PARAMETERS}}
    return Case("batch_norm", config, used, steps)


def text_of(backend: str, clause: str, case: Case, message: str, **evidence: Any) -> str:
    """The script, after it was seen to be short and Python."""
    told = CLAUSES[clause]
    found = Finding(
        clause,
        told.family,
        told.level,
        backend,
        "cpu",
        "deviates",
        9,
        1,
        0,
        2.0,
        message,
        msgspec.convert({"call": "", "relation": "within_bound", **evidence}, Evidence),
    )
    target = TargetRecord(backend, "cpu", "ready", "", "", {"torch": "2.0"}, PROFILE.to_json())
    text = script(found, case, target)
    assert len(text.splitlines()) <= MAX_LINES
    ast.parse(text)
    return text


def flat(**numbers: Any) -> dict[str, Any]:
    """Evidence with the numbers of one element."""
    return {"index": [2, 1], "expected": "1.0", "got": "2.0", "bound": "0.1", **numbers}


LOST = "does not follow from that of step 0"
CHANGED = {"output": "running_mean", "index": [0]}
#: (clause, steps, message, evidence): each holds in PyTorch, whose script must end with 0.
HELD: list[tuple[str, tuple[Step, ...], str, dict[str, Any]]] = [
    (
        "gradient.linear_in_the_cotangent",
        (DIFFERENTIATE, related(TRAINING_GRADIENTS, ("x", "dy|times:-4"), relation="cotangent:-4")),
        f"dx {LOST}",
        {"step": 1, "output": "dx", **flat(bound="1e-5")},
    ),
    (
        "training.order_of_elements",
        (DIFFERENTIATE, related(TRAINING_GRADIENTS, ("x|flipped", "dy|flipped"), relation="flipped")),
        f"y {LOST}",
        {"step": 1, "output": "y", **flat(bound="1e-5")},
    ),
    (
        "layout.channels_permute",
        (
            DIFFERENTIATE,
            related(
                TRAINING_GRADIENTS,
                ("x|channels_flipped", "dy|channels_flipped"),
                relation="channels_flipped",
                **{n: f"{n}|channels_flipped" for n in PARAMETERS},
            ),
        ),
        f"dgamma {LOST}",
        {"step": 1, "output": "dgamma", **flat(index=[0], bound="1e-5")},
    ),
    (
        "training.scale_equivariant",
        (DIFFERENTIATE, related(TRAINING_GRADIENTS, ("x|times:4", "dy"), relation="scaled:4", epsilon=0.016)),
        f"dx {LOST}",
        {"step": 1, "output": "dx", **flat(bound="1e-5")},
    ),
    (
        "layout.threads",
        (DIFFERENTIATE, related(TRAINING_GRADIENTS, ("x", "dy"), relation="threads", threads=2)),
        f"y {LOST}",
        {"step": 1, "output": "y", **flat(bound="1e-5")},
    ),
    ("training.output_moments", (TRAIN,), "mean of y is off", {"output": "y", "index": [1], "bound": "1e-5"}),
    ("gradient.orthogonality", (LEARN,), "sum of dx is off", {"output": "dx", "index": [1], "bound": "1e-5"}),
    ("state.snapshot_continues", (TRAIN, Step("save_restore")), "running_mean changed", {"step": 1, **CHANGED}),
    (
        "state.copy_is_independent",
        (TRAIN, Step(CLONE), Step(TRAINING, ("x",)), Step(SWAP)),
        "running_mean changed while the other layer was used",
        {"step": 3, **CHANGED},
    ),
    (
        "state.is_visible_after_each_step",
        (TRAIN, Step(TRAINING, ("x",))),
        "running_mean changed between two calls",
        {"step": 1, **CHANGED},
    ),
    (
        "state.reset_restores_the_beginning",
        (TRAIN, Step(RESET)),
        "running_var is 2.0",
        {"step": 1, "output": "running_var", "index": [0], "expected": "1.0", "got": "2.0"},
    ),
    (
        "running.initial_state",
        (related(INFERENCE, ("x",), initial=True),),
        "running_var is 2.0",
        {"output": "running_var", "index": [0], "expected": "1.0", "got": "2.0"},
    ),
    (
        "running.unrolled",
        (TRAIN, Step(TRAINING_GRADIENTS, ("x", "dy")), Step(TRAINING, ("x",))),
        "running_var[1] is off by 3 after 3 steps",
        {"step": 2, "output": "running_var", "index": [1], "bound": "1e-4"},
    ),
    (
        "errors.leave_the_state",
        (TRAIN, Step(TRAINING, ("wide",), refused=True)),
        "running_mean changed",
        {"step": 1, **CHANGED},
    ),
    ("errors.malformed_data", (Step(TRAINING, ("wide",), True, (), True),), "training(wide) computed a result", {}),
    (
        "errors.malformed_parameters",
        (Step(TRAINING, ("x",), True, (("gamma", "more"),), True),),
        "training(x) computed a result",
        {},
    ),
    ("special.overflow_is_not_finite", (TRAIN,), "y is beta all over channel 1", {"output": "y", "index": [1]}),
    (
        "degenerate.gradients_of_empty_batch",
        (related(INFERENCE_GRADIENTS, ("none", "none")),),
        "dbeta is 1.0",
        {"output": "dbeta", "index": [0], "expected": "0.0", "got": "1.0"},
    ),
]


@pytest.mark.parametrize(("clause", "steps", "message", "evidence"), HELD, ids=[h[0] for h in HELD])
@pytest.mark.parametrize("backend", ["torch.nn", "flax.nnx", "tensorflow.nn", "keras"])
def test_each_new_law_has_a_look(
    backend: str, clause: str, steps: tuple[Step, ...], message: str, evidence: dict[str, Any]
) -> None:
    """In every family of frameworks; what a framework does not have is refused with the reason."""
    text, reason = "", ""
    try:
        text = text_of(backend, clause, case_of(*steps), message, **{"step": 0, **evidence})
    except NoScript as refused:
        reason = str(refused)
    if reason:
        assert backend != "torch.nn"
        assert any(word in reason for word in ("no lines are written", "no call", "threads", "saved by hand"))
        return
    assert '"got' in text
    assert "sys.exit" in text


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_new_laws_pass_where_they_hold_and_fail_on_other_numbers(tmp_path: Path) -> None:
    """In one process: PyTorch keeps each on an ordinary case; of another first result, the relations end with 1."""
    parts = []
    for clause, steps, message, evidence in HELD:
        text = text_of("torch.nn", clause, case_of(*steps), message, **{"step": 0, **evidence})
        parts.append(ended(text, 0))
        if LOST in message:
            parts.append(
                ended(text.replace("expected = first", "expected = 0.5 + first").replace(", first", ", 0.5 + first"), 1)
            )
    (tmp_path / "script.py").write_text("\n".join(parts))
    command = [sys.executable, "script.py"]
    end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (end.returncode, end.stderr) == (0, "")


def ended(text: str, status: int) -> str:
    """Lines that run a script inside another, and see that it ends with this status."""
    return f"try: exec({text!r}, {{}})\nexcept SystemExit as end: assert bool(end.code) is {bool(status)}, {text!r}"


def test_masked_padding_is_compared_where_the_mask_keeps() -> None:
    """Both calls, one mask; NaN in the padding is written out."""
    steps = (related(TRAINING_MASKED, ("x", "mask")), related(TRAINING_MASKED, ("x|repadded:nan", "mask")))
    message = "y differs from step 0's, with other padding"
    text = text_of("flax.nnx", "mask.padding_is_inert", case_of(*steps), message, step=1, output="y")
    assert "np.nan" in text
    assert "[False], [True], [True]" in text


@pytest.mark.parametrize("call", ["second_order", "tangent", "some_gradients"])
@pytest.mark.parametrize("mode", ["training", "inference"])
@pytest.mark.parametrize("backend", ["torch.nn", "torch.functional", "flax.nnx", "jax.numpy", "tensorflow.nn", "keras"])
def test_further_derivatives_are_written(backend: str, mode: str, call: str) -> None:
    """The call as its adapter performs it, and the formula of what is expected."""
    inputs = {"second_order": ("x", "dy", "v"), "tangent": ("x", "v"), "some_gradients": ("x", "dy")}[call]
    output = {"second_order": "by_x", "tangent": "along", "some_gradients": "dx"}[call]
    case = case_of(related(CALLS[f"{mode}_{call}"], inputs, **({"wanted": "dx"} if call == "some_gradients" else {})))
    text = text_of(backend, "training.output", case, "off", step=0, output=output, **flat())
    assert f"{output}[2, 1]" in text


def test_a_frozen_layer_and_another_decay_are_written() -> None:
    """What a layer was told stands between its calls; a step that is refused on the way does not end the script."""
    wrong = Step(TRAINING, ("wide",), refused=True)
    steps = (TRAIN, Step(FREEZE), Step(SET_DECAY, (), False, (("decay", 0.25),)), wrong, Step(TRAINING, ("x",)))
    text = text_of("torch.nn", "running.mean", case_of(*steps), "off", step=4, output="running_mean", **flat(index=[0]))
    for word in ("requires_grad_(False)", "layer.momentum = 0.75", "except Exception"):
        assert word in text


def test_a_view_with_the_initial_values_is_still_put_in() -> None:
    """That gamma is not packed may be what matters, even if all its values are 1."""
    case = case_of(TRAIN)
    gamma = np.array([1.0, np.nan, 1.0], np.float32)[::2]
    case = case.with_(arrays={**case.arrays, "gamma": gamma, "beta": np.zeros(2, np.float32)})
    assert "as_strided" in text_of("torch.nn", "training.output", case, "off", step=0, output="y", **flat())


def test_a_network_is_refused_with_the_reason() -> None:
    """No script is better than a wrong one."""
    case = dataclasses.replace(case_of(TRAIN))
    object.__setattr__(case, "subject", "network")
    with pytest.raises(NoScript, match="network"):
        text_of("torch.nn", "placement.trajectory", case, "off", step=0, output="y", **flat())


def test_joining_keeps_the_meaning() -> None:
    """Blocks fold from the inside; comments, lambdas and tuples are left where they are."""
    nested = ["with a:", "    b = 1", "    with c:", "        d = 2", "    e = 3"]
    assert fold(nested, 80) == ["with a:", "    b = 1", "    with c: d = 2", "    e = 3"]
    assert fold(["try:", "    a = 1  # so", "    b = 2"], 80) == ["try:", "    a = 1  # so", "    b = 2"]
    assert in_line(["a = 1", "b = a", "with c: d", "e = 1  # so", "f = 2"], 80) == [
        "a = 1; b = a",
        "with c: d",
        "e = 1  # so",
        "f = 2",
    ]
    assert join(["a = lambda x: x", "b = 2"], 80) == ["a = lambda x: x", "b = 2"]
    assert join(["a, b = f(1)", "c = 2"], 80) == ["a, b = f(1)", "c = 2"]
