"""Kernels that lack something: gamma and beta, gradients, running statistics, or a process that opens twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels import broken, few_cases, judged

from bnspec import check_backend
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.conventions.laboratory import without_affine
from bnspec.conformance.kernels.judge import JudgeRequest, judge
from bnspec.conformance.kernels.verdict import document, line
from bnspec.errors import UsageError

#: Channels last, momentum that weighs the old value, the unbiased running variance, statistics in a dict; no gamma, no backward pass.
BARE = """
import numpy as np

def run(x, moving_mean, moving_variance, epsilon, momentum, training):
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    mean, var = moving_mean.astype(np.float64), moving_variance.astype(np.float64)
    if training:
        old, (mean, var) = (mean, var), (x.mean(axes, np.float64), x.var(axes, dtype=np.float64))
        new = [momentum * a + (1 - momentum) * b for a, b in zip(old, (mean, var * count / max(count - 1, 1)))]
        moving_mean, moving_variance = (n.astype(moving_mean.dtype) for n in new)
    return {"y": ((x - mean) / np.sqrt(var + epsilon)).astype(x.dtype), "mean": moving_mean, "variance": moving_variance}
"""


def test_a_kernel_that_only_normalises_is_judged_by_its_own_conventions(tmp_path: Path) -> None:
    """They are inferred without gamma and beta, and it is timed without; of cases with gradients, the forward pass is asked."""
    (tmp_path / "kernel.py").write_text(BARE)
    cases = [without_affine(c) for c in few_cases(shapes=((3, 4), (5, 3)))]
    request = JudgeRequest(str(tmp_path / "kernel.py"), 7, jobs=1, out=tmp_path / "run", cases=cases)
    verdict = judge(request, "bnspec judge", quiet=True)
    found = verdict.conventions
    assert (verdict.grade, verdict.status) == ("A", 0), broken(verdict)
    assert (found.running_correction, found.momentum_weighs, found.channel_axes) == (1, "old", "last")
    assert found.gradient_modes == ()
    assert {f.clause for f in verdict.run.findings if f.cases} >= {"training.output", "running.var"}
    assert [t.verdict for t in verdict.run.timings] == ["conforms", "conforms", "declined"]


def test_a_kernel_that_does_not_open_again_for_its_times_fails_by_them(tmp_path: Path) -> None:
    """What was judged before is kept, and the run is whole."""
    text = BARE.replace(
        "import numpy as np", "import numpy as np, os\nassert '\"watched\": true' in os.environ['BNSPEC_KERNEL']", 1
    )
    (tmp_path / "kernel.py").write_text(text)
    cases = [without_affine(c) for c in few_cases(shapes=((5, 3),))[:1]]
    request = JudgeRequest(str(tmp_path / "kernel.py"), 7, jobs=1, out=tmp_path / "run", cases=cases)
    verdict = judge(request, "bnspec judge", quiet=True)
    assert (verdict.grade, verdict.status, broken(verdict)) == ("F", 1, set())
    assert {t.verdict for t in verdict.run.timings} == {"error"}
    assert "training as it was timed: not opened: AssertionError" in line(verdict)
    assert verdict.run.complete


STATELESS = """
import torch
from torch import nn

class ModelNew(nn.Module):
    def __init__(self, num_features{more}):
        super().__init__()
        self.bn = nn.BatchNorm2d(num_features, {given})

    def forward(self, x):
        return {forward}
"""
MODULES = {
    "no running statistics": ("", "track_running_stats=False", "self.bn(x)", True, ["running_mean", "running_var"]),
    "no gamma": (", momentum=0.1, eps=1e-5", "momentum=momentum, eps=eps, affine=False", "self.bn(x)", False, []),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_a_module_without_a_part_is_judged_without_it(name: str, tmp_path: Path) -> None:
    """What is computed in its place is said."""
    more, given, forward, affine, ours = MODULES[name]
    (tmp_path / "model.py").write_text(STATELESS.format(more=more, given=given, forward=forward))
    cases = few_cases(shapes=((3, 4, 5, 2),))
    verdict, _ = judged(
        tmp_path / "model.py", tmp_path / "run", cases if affine else [without_affine(c) for c in cases]
    )
    assert (verdict.grade, broken(verdict)) == ("A", set())
    assert document(verdict)["kernel"]["supplied"] == ours


@pytest.mark.slow
def test_a_module_holds_its_parameters_packed(tmp_path: Path) -> None:
    """It allocated them: that torch's backward pass reads strided ones as if they were packed is nothing that its author meets."""
    text = STATELESS.replace("BatchNorm2d(num_features, {given})", "BatchNorm1d(num_features)").format(
        more="", forward="self.bn(x)"
    )
    (tmp_path / "model.py").write_text(text)
    plan = Plan(Form((5, 3), 1), "wide", seed=7, parameter_layout="stepped")
    verdict, _ = judged(tmp_path / "model.py", tmp_path / "run", [batch_norm_case(plan)])
    assert not {c for c in broken(verdict) if c.startswith(("gradient", "training", "inference.output"))}
    assert "gradient.training_dx" in {f.clause for f in verdict.run.findings if f.cases}


@pytest.mark.slow
def test_what_autograd_hands_on_is_no_fault_of_a_module(tmp_path: Path) -> None:
    """The gradient of a bias that is not broadcast is dy itself, where there is one value."""
    text = STATELESS.format(more="", given="track_running_stats=False", forward="self.bn(x)")
    text = text.replace(
        "return self.bn(x)", "return (x - x) + self.bn.weight.view(1, -1, 1, 1) * 0 + self.bn.bias.view(1, -1, 1, 1)"
    )
    (tmp_path / "model.py").write_text(text)
    verdict, _ = judged(tmp_path / "model.py", tmp_path / "run", few_cases(shapes=((1, 1, 1, 1),)))
    assert "purity.results_are_new" not in broken(verdict)


@pytest.mark.parametrize(("thing", "is_kernel"), [
    ("a/kernel.py::run", True), ("a/kernel.py", True), ("model.onnx", True), ("kernel.mlir", True), ("solution.json", True),
    ("libbn.so::run", True), ("my.solver:Adapter", False), ("a/file.py:Adapter", False), ("torch.nn", False),
])  # fmt: skip
def test_a_kernel_is_told_from_a_backend_by_its_file(thing: str, is_kernel: bool) -> None:
    """Not by letters somewhere in its name."""
    assert check_backend(thing)[0].checked.is_kernel == is_kernel


def test_a_kernel_that_cannot_be_judged_is_tried_once_for_all_checks(tmp_path: Path) -> None:
    """Each says why."""
    checks = check_backend(str(tmp_path / "none.py::run"))
    said = []
    for check in checks[:2]:
        with pytest.raises(UsageError) as refused:
            check()
        said.append(refused.value)
    assert said[0] is said[1]
