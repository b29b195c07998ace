"""A saved case of a judgement is run again on its kernel, so that somebody sees what is wrong, mends it and sees that it is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kernels import judged

from bnspec.cli import main

WRONG = """import numpy as np
def run(x, weight, bias, running_mean, running_var, eps):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var, w, b = (p.astype(float).reshape(shape) for p in (running_mean, running_var, weight, bias))
    return ((x - mean) / (np.sqrt(var) + eps) * w + b).astype(x.dtype)
"""


def test_a_case_of_a_judgement_is_replayed_on_its_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the file as it is now; status 2 where it is gone."""
    file = tmp_path / "kernel.py"
    file.write_text(WRONG)
    verdict, _ = judged(f"{file}::run", tmp_path / "run")
    assert verdict.smallest is not None
    assert main(["replay", str(verdict.smallest), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert "inference.output" in json.dumps(document)
    file.write_text(WRONG.replace("(np.sqrt(var) + eps)", "np.sqrt(var + eps)"))
    assert main(["replay", str(verdict.smallest)]) == 0
    capsys.readouterr()
    file.unlink()
    assert main(["replay", str(verdict.smallest)]) == 2
    assert "is no file" in capsys.readouterr().err
