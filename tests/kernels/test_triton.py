"""Kernels of Triton: interpreted, and compiled for devices that are not here, of which nothing is run."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from kernels import EXAMPLES, broken, few_cases, judged

from bnspec.backends.kernels.harness.found import Compiled, Found, found_of
from bnspec.conformance.kernels.blocks import block_cases
from bnspec.conformance.kernels.verdict import compiled_document, compiled_line, document
from bnspec.errors import HarnessError
from bnspec.model.conventions import Conventions


@pytest.mark.slow
def test_a_kernel_is_interpreted_its_overrun_is_named_and_its_instructions_are_listed(tmp_path: Path) -> None:
    """The twin's mask lets one position too many through. Its root and its division are approximate on sm_90."""
    case = few_cases(shapes=((3, 4, 5, 2),))[:1]
    right = judged(EXAMPLES / "triton_kernel.py", tmp_path / "run", case)[0]
    assert right.grade == "A", broken(right)
    wrong, _ = judged(EXAMPLES / "triton_kernel_wrong.py", tmp_path / "wrong", case)
    assert broken(wrong) == {"contract.stays_in_its_buffers"}
    assert "writes after y" in wrong.broken[0].message
    listed = {k["target"]: k for k in document(right)["compiled"]["kernels"]}
    assert set(listed) == {"sm_90", "gfx942"}
    assert "div.full.f32" in listed["sm_90"]["approximate"]
    assert listed["sm_90"]["flushes_to_zero"]
    assert "v_sqrt_f32" in listed["gfx942"]["approximate"]
    assert all(k["fused"] and not k["failed"] for k in listed.values())


@pytest.mark.slow
def test_what_does_not_compile_is_said_and_changes_no_grade(tmp_path: Path) -> None:
    """The interpreter takes more than the compiler does."""
    row = "    row = tl.program_id(0)\n"
    text = (EXAMPLES / "triton_kernel.py").read_text()
    assert row in text
    text = text.replace(row, f"    try:\n    {row}    finally:\n        pass\n")
    (tmp_path / "kernel.py").write_text(text)
    verdict, _ = judged(tmp_path / "kernel.py", tmp_path / "run", few_cases(shapes=((3, 4, 5, 2),))[:1])
    assert verdict.grade == "A"
    assert verdict.compiled is not None
    assert "infer does not compile" in compiled_line(verdict.compiled)


def test_the_line_says_that_nothing_was_run() -> None:
    """Counts of all kernels for a device, and why there are none."""
    each = Compiled("f", "sm_90", {"sqrt.approx.f32": 1}, {}, {"fma.rn.f32": 2}, True, True)
    said = compiled_line(Found(compiled=[each, each, Compiled("f", "gfx942", failed="no such type")]))
    assert said == (
        "compiled, not run: sm_90: approximate sqrt.approx.f32 x2, fused fma.rn.f32 x4, flushes to zero; "
        "gfx942: f does not compile: no such type"
    )
    assert "since no device" in compiled_line(Found(failed="no device"))
    assert compiled_document(None) is None


def test_what_a_worker_lists_is_checked_and_cleaned() -> None:
    """It comes from a stranger's process."""
    said = {"kernel": "a\x1b[2Jb", "target": "sm_90", "approximate": {"x\ny": 1}}
    (compiled,) = found_of({"kernel": {"compiled": [said]}}).compiled
    assert "\x1b" not in compiled.kernel
    assert set(compiled.approximate) == {"x y"}
    with pytest.raises(HarnessError, match="cannot be read"):
        found_of({"kernel": {"compiled": [{"kernel": 3}]}})


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "grade"), [("triton.cdiv(m, 1024)", "A"), ("max(m // 1024, 1)", "F")])
def test_a_last_block_that_no_program_writes_is_a_finding(grid: str, grade: str, tmp_path: Path) -> None:
    """Among the cases around blocks there is one with a plane of 1,025."""
    text = (EXAMPLES / "triton_kernel.py").read_text()
    loop = "    for start in range(0, positions, BLOCK):\n        at = start + tl.arange(0, BLOCK)\n"
    assert loop in text
    text = text.replace(loop, "    if positions > 0:\n        at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)\n")
    text = text.replace("(n * c,)", f"(n * c, {grid})").replace(
        "    if x.numel()", "    m = x[0, 0].numel() if n * c else 0\n    if x.numel()"
    )
    (tmp_path / "kernel.py").write_text(text.replace("BLOCK=16", "BLOCK=1024"))
    around = block_cases(Conventions(ranks=(4,), dtypes=("float32",), channel_axes="first"), 7)
    cases = [c for c in itertools.islice(around, 8) if c.arrays["x"][0, 0].size in (33, 1025)]
    verdict, _ = judged(tmp_path / "kernel.py", tmp_path / "run", cases)
    assert verdict.grade == grade, broken(verdict)
    assert grade == "A" or verdict.broken[0].clause == "inference.output"
