"""Overruns and stale reads of kernels in C are found and named; no honest kernel is accused."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels import EXAMPLES, broken, judged

from bnspec.backends.kernels.c_signature import prototypes
from bnspec.backends.kernels.shared_object import CFunction

INSIDE = "contract.stays_in_its_buffers"
PROTOTYPE = """int run(const float *x, const float *gamma, const float *beta, float *running_mean, float *running_var, float *y,
    float *save_mean, float *save_var, int n, int c, int hw, float eps, float momentum)"""
#: An honest training step, with a place for a mistake; ``last`` is the number of elements of x.
BODY = """{
    long last = (long)n * c * hw, m = (long)n * hw;
    %s;
    for (int k = 0; k < c; k++) {
        double mean = 0, var = 0;
        for (long i = 0; i < m; i++) mean += x[(i / hw * c + k) * hw + i %% hw];
        mean /= m;
        for (long i = 0; i < m; i++) { double d = x[(i / hw * c + k) * hw + i %% hw] - mean; var += d * d; }
        var /= m;
        save_mean[k] = mean; save_var[k] = var;
        running_mean[k] += momentum * (mean - running_mean[k]);
        running_var[k] += momentum * (var - running_var[k]);
        for (long i = 0; i < m; i++) {
            long at = (i / hw * c + k) * hw + i %% hw;
            y[at] = (x[at] - mean) / sqrt(var + eps) * gamma[k] + beta[k];
        }
    }
    %s;
    return 0;
}
"""
#: (before, after the step): one mistake each, and how it is named.
PLANTED = {
    "writes after x": ("", "((float *)x)[last] = 0"),
    "writes before x": ("((float *)x)[-1] = 0", ""),
    "writes after y": ("", "y[last] = 0"),
    "writes before y": ("", "y[-1] = y[0]"),
    "writes after running_var": ("", "running_var[c] = 1"),
    "writes before running_mean": ("", "running_mean[-1] = 0"),
    "writes after batch_mean": ("", "save_mean[c] = save_mean[0]"),
    "writes before batch_var": ("save_var[-1] = 0", ""),
    "reads after x": ("", "y[0] += 1e-3f * x[last]"),
    "reads before x": ("", "running_mean[0] += x[-1]"),
    "reads after gamma": ("", "y[last - 1] *= gamma[c]"),
    "reads before running_var": ("", "running_var[0] += running_var[-1]"),
    "reads after running_mean": ("", "save_mean[c - 1] = running_mean[c]"),
    "reads stale y": ("save_var[0] = 0; running_mean[0] += y[0]", ""),
    "reads stale batch_mean": ("for (int k = 0; k < c; k++) running_mean[k] += save_mean[k]", ""),
}  # fmt: skip

#: The same, 64 elements off.
FAR = {
    "writes after y": ("", "y[last + 63] = 0"),
    "writes before x": ("((float *)x)[-64] = 0", ""),
    "writes before running_var": ("", "running_var[-64] = 1"),
    "reads after gamma": ("", "y[last - 1] *= gamma[c + 63]"),
    "reads before batch_mean": ("", "running_mean[0] += save_mean[-64]"),
}  # fmt: skip

compiler = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(compiler is None, reason="no C compiler is here")


def compiled(source: str | Path, library: Path) -> Path:
    """A shared object of C source."""
    text = source.read_text() if isinstance(source, Path) else source
    command = [str(compiler), "-O2", "-w", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-lm"]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    return library


def function(before: str, after: str, folder: Path) -> CFunction:
    """The step with a mistake before or after it."""
    library = compiled(f"#include <math.h>\n{PROTOTYPE}{BODY % (before, after)}", folder / "kernel.so")
    return CFunction(ctypes.CDLL(str(library)), prototypes(PROTOTYPE + ";", "kernel.h")["run"], watched=True)


def step(kernel: CFunction) -> dict[str, Any]:
    """One training step on a small batch; the arguments after it."""
    n, c, hw = 3, 4, 5
    values: dict[str, Any] = {"x": np.random.RandomState(1).standard_normal((n, c, hw)).astype(np.float32)}
    values["y"] = np.empty_like(values["x"])
    for role in ("gamma", "beta", "running_mean", "running_var", "batch_mean", "batch_var"):
        values[role] = np.full(c, 2.0, np.float32)
    kernel({**values, "batch": n, "channels": c, "positions": hw, "epsilon": 0.5, "momentum": 0.25})
    return values


def test_an_honest_kernel_is_not_accused(tmp_path: Path) -> None:
    """And its results come back from between the red zones."""
    kernel = function("", "", tmp_path)
    values = step(kernel)
    assert kernel.overruns() == ()
    np.testing.assert_allclose(values["batch_mean"], values["x"].mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(values["running_mean"], 1.5 + 0.25 * values["batch_mean"], rtol=1e-5)


@pytest.mark.parametrize("named", PLANTED)
def test_an_overrun_of_one_element_is_named(named: str, tmp_path: Path) -> None:
    """Which buffer, on which side, and whether it was read or written; and nothing else."""
    kernel = function(*PLANTED[named], tmp_path)
    step(kernel)
    assert kernel.overruns() == (named,)
    assert kernel.overruns() == ()


@pytest.mark.parametrize("named", FAR)
def test_an_overrun_by_64_elements_is_named(named: str, tmp_path: Path) -> None:
    """It lies in the red zone still, and the process goes on."""
    kernel = function(*FAR[named], tmp_path)
    step(kernel)
    assert kernel.overruns() == (named,)


def test_a_result_that_is_not_written_is_not_called_read(tmp_path: Path) -> None:
    """What is left of the filling shows in the values."""
    kernel = function("", "y[0] = y[0]; if (n < 0) y[1] = 0", tmp_path)
    step(kernel)
    assert kernel.overruns() == ()


def example(name: str, folder: Path) -> Path:
    """An example compiled, with its header beside it."""
    shutil.copy(EXAMPLES / "c_kernel.h", folder / f"{name}.h")
    return compiled(EXAMPLES / f"{name}.c", folder / f"{name}.so")


def test_the_example_in_c_conforms(tmp_path: Path) -> None:
    """Called by its prototype."""
    verdict, status = judged(example("c_kernel", tmp_path), tmp_path / "run")
    assert (verdict.grade, status) == ("A", 0), broken(verdict)


def test_its_wrong_twin_breaks_one_clause(tmp_path: Path) -> None:
    """The one that names the buffer; all its values are right."""
    verdict, status = judged(example("c_kernel_wrong", tmp_path), tmp_path / "run")
    assert (broken(verdict), status) == ({INSIDE}, 1)
    assert "writes after running_var" in verdict.broken[0].message


def test_a_long_overrun_ends_the_worker_alone(tmp_path: Path) -> None:
    """Beyond the red zone lies a page that nothing may touch; the judgement goes on without the process."""
    text = (
        (EXAMPLES / "c_kernel.c")
        .read_text()
        .replace("    return 0;\n", "    if (n == 5) for (long i = 0; i < 100000; i++) y[i] = 0;\n    return 0;\n")
    )
    shutil.copy(EXAMPLES / "c_kernel.h", tmp_path / "kernel.h")
    verdict, status = judged(compiled(text, tmp_path / "kernel.so"), tmp_path / "run")
    assert status == 1
    assert "contract.completes" in broken(verdict)
    assert {f.verdict for f in verdict.broken} == {"crashed"}
