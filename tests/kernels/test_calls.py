"""How a kernel is called follows from its signature; what it does not offer is declined and said."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels import broken, judged

from bnspec.backends.kernels.harness.forms import LIBRARIES, ONNX, STABLEHLO
from bnspec.backends.kernels.harness.recognise import recognise
from bnspec.cli import main
from bnspec.conformance.kernels.verdict import Verdict, declined
from bnspec.errors import UsageError

HEAD = "import numpy as np\nA = lambda x: tuple(a for a in range(x.ndim) if a != 1)\nS = lambda x, c: c.astype(float).reshape((1, -1) + (1,) * (x.ndim - 2))\n"
FORWARD = "m, v = x.astype(float).mean(A(x)), x.astype(float).var(A(x))\n    y = ((x - S(x, m)) / np.sqrt(S(x, v) + eps) * S(x, weight) + S(x, bias)).astype(x.dtype)\n"
BY_STATE = "y = ((x - S(x, mean)) / np.sqrt(S(x, var) + eps) * S(x, weight) + S(x, bias)).astype(x.dtype)\n"


def kernel(folder: Path, signature: str, *lines: str) -> Path:
    """A file with one function."""
    file = folder / "kernel.py"
    file.write_text(HEAD + f"def run({signature}):\n    " + "\n    ".join(line.rstrip() for line in lines) + "\n")
    return file


def reasons(verdict: Verdict) -> str:
    """Why cases were declined."""
    return "; ".join(str(r["reason"]) for r in declined(verdict.run.findings))


def test_the_moments_of_the_batch_may_be_returned(tmp_path: Path) -> None:
    """Then they are what moves the running statistics, and are judged there."""
    verdict, _ = judged(kernel(tmp_path, "x, weight, bias, eps", FORWARD, "return y, m, v"), tmp_path / "run")
    assert verdict.grade != "F", broken(verdict)
    wrong, _ = judged(kernel(tmp_path, "x, weight, bias, eps", FORWARD, "return y, m * 1.001, v"), tmp_path / "wrong")
    assert "running.mean" in broken(wrong)
    assert "training.output" not in broken(wrong)


def test_new_statistics_may_be_returned_and_momentum_may_weigh_the_old(tmp_path: Path) -> None:
    """Both are found by experiment."""
    file = kernel(
        tmp_path,
        "x, weight, bias, mean, var, eps, momentum",
        FORWARD,
        "n = x.size // x.shape[1]",
        "mix = lambda a, b: (momentum * a.astype(float) + (1 - momentum) * b).astype(a.dtype)",
        "return y, mix(mean, m), mix(var, v * n / max(n - 1, 1))",
    )
    verdict, _ = judged(file, tmp_path / "run")
    assert verdict.grade != "F", broken(verdict)
    assert (verdict.conventions.momentum_weighs, verdict.conventions.running_correction) == ("old", 1)
    assert "no inference mode" in reasons(verdict)


def test_outputs_may_be_written(tmp_path: Path) -> None:
    """A parameter that is named like a result is one, and stands filled with NaN before the call."""
    good = kernel(tmp_path, "x, weight, bias, eps, out", FORWARD, "out[...] = y")
    assert judged(good, tmp_path / "good")[0].grade != "F"
    bad = kernel(tmp_path, "x, weight, bias, eps, out", FORWARD, "out[1:] = y[1:]")
    assert "training.output" in broken(judged(bad, tmp_path / "bad")[0])


def test_inference_alone_is_judged_alone(tmp_path: Path) -> None:
    """Without momentum and mode, running statistics can only be what it infers by."""
    verdict, _ = judged(kernel(tmp_path, "x, weight, bias, mean, var, eps", BY_STATE, "return y"), tmp_path / "run")
    assert verdict.grade != "F", broken(verdict)
    assert "no training mode" in reasons(verdict)
    assert "inference.output" in {f.clause for f in verdict.run.findings if f.cases}


@pytest.mark.parametrize(
    "body",
    [
        "return np.zeros_like(x)",
        pytest.param("return np.full_like(x, 0.5)", marks=pytest.mark.slow),
        pytest.param("return x.copy()", marks=pytest.mark.slow),
    ],
)
def test_what_computes_nothing_fails(body: str, tmp_path: Path) -> None:
    """Zeros, a constant, and x itself."""
    verdict, status = judged(kernel(tmp_path, "x, weight, bias, mean, var, eps, training", body), tmp_path / "run")
    assert (verdict.grade, status) == ("F", 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def run(x, wobble):\n    return x\n", "wobble"),
        ("def run(x, gamma, weight):\n    return x\n", "gamma twice"),
        ("def one(x):\n    return x\ndef two(x):\n    return x\n", "which function is meant"),
        ("x = 1\n", "which function is meant"),
        ("def run(x:\n", "is not Python"),
        ("# -*- coding: nope -*-\ndef run(x):\n    return x\n", "unknown encoding: nope"),
        ("def run(x):\n    return x\0\n", "SyntaxError: "),
        ("def run(x):\n    raise ValueError('never')\n", "raises on every form"),
    ],
)
def test_what_cannot_be_called_is_refused_with_a_reason(text: str, why: str, tmp_path: Path) -> None:
    """What, why and how to mend it; the harness does not guess."""
    (tmp_path / "kernel.py").write_text(text)
    with pytest.raises(UsageError) as refused:
        judged(tmp_path / "kernel.py", tmp_path / "run")
    assert why in str(refused.value)
    assert refused.value.fix


def test_a_file_is_read_and_not_executed_to_recognise_it(tmp_path: Path) -> None:
    """It is executed in the worker alone."""
    (tmp_path / "kernel.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\ndef run(x):\n    return x\n")
    assert recognise(str(tmp_path / "kernel.py")).kernel.name == "run"
    assert not (tmp_path / "mark").exists()


def test_a_path_that_cannot_be_a_kernel_is_refused_for_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device, a form that is not known, a name where there is none, a file that may not be read."""

    def why(thing: str) -> str:
        with pytest.raises(UsageError) as refused:
            recognise(thing)
        assert refused.value.fix
        return f"{refused.value.what} {refused.value.why} {refused.value.fix}"

    assert "it is no ordinary file" in why("/dev/null")
    (tmp_path / "kernel.txt").write_text("x")
    assert all(suffix in why(str(tmp_path / "kernel.txt")) for suffix in (*LIBRARIES, *ONNX, *STABLEHLO))
    (tmp_path / "none.py").write_text("x = 1\n")
    assert "name one of these" not in why(f"{tmp_path / 'none.py'}::run")

    def refused(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert "cannot be read. Permission denied." in why(str(tmp_path / "none.py"))


def test_the_help_names_the_suffixes_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit statuses."""
    assert main(["judge", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(suffix in said for suffix in (*LIBRARIES, *ONNX, *STABLEHLO))
    assert all(f"{status}: " in said for status in "0123")
