"""Which function or class of a Python file is meant, by its syntax alone, and how long its worker is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnspec.backends.kernels.harness.recognise import recognise
from bnspec.conformance.kernels.judge import LIMITS, limits_for
from bnspec.errors import UsageError

DEFINED = "def bn(x, eps):\n    return x\n"


def kernel_of(text: str, tmp_path: Path, name: str = "::run") -> tuple[str, str, str]:
    """Form, name and interpreter of the kernel of a file."""
    (tmp_path / "kernel.py").write_text(text)
    kernel = recognise(f"{tmp_path / 'kernel.py'}{name}").kernel
    return kernel.form, kernel.name, kernel.interpreted


@pytest.mark.parametrize(
    "text",
    [
        f"import functools\n{DEFINED}run = functools.partial(bn)\n",
        f"{DEFINED}run: object = bn\n",
        f"class BN:\n    __call__ = None\n{DEFINED}run = BN()\n",
        "from elsewhere import run\n",
        "import elsewhere as run\n",
        "try:\n    from fast import run\nexcept ImportError:\n    def run(x, eps):\n        return x\n",
        "if True:\n    def run(x, eps):\n        return x\n",
        "import numba as nb\n@nb.jit\ndef run(x, eps):\n    return x\n",
        "from jax import jit\n@jit\ndef run(x, eps):\n    return x\n",
    ],
)
def test_a_name_that_a_file_binds_is_a_kernel(text: str, tmp_path: Path) -> None:
    """However it is bound: whether it is a function shows when it is loaded."""
    assert kernel_of(text, tmp_path) == ("callable", "run", "")


def test_a_usual_name_is_meant_however_it_is_bound(tmp_path: Path) -> None:
    """Where none is named."""
    text = f"class BN:\n    __call__ = None\n{DEFINED}def other(x):\n    return x\nrun = BN()\n"
    assert kernel_of(text, tmp_path, "") == ("callable", "run", "")


def test_one_colon_is_one_too_few(tmp_path: Path) -> None:
    """And an adapter has another command."""
    (tmp_path / "kernel.py").write_text(DEFINED)
    with pytest.raises(UsageError) as raised:
        recognise(f"{tmp_path / 'kernel.py'}:bn")
    assert f"{tmp_path / 'kernel.py'}::bn" in raised.value.fix
    with pytest.raises(UsageError) as raised:
        recognise("my.adapter:Mine")
    assert "verify --backend" in raised.value.fix


def test_what_a_file_does_not_bind_is_refused(tmp_path: Path) -> None:
    """A name within a function is not at the top level."""
    with pytest.raises(UsageError, match="defines no run"):
        kernel_of("def make():\n    run = 1\n    return run\n", tmp_path)


def test_a_class_that_derives_from_a_layer_of_torch_is_a_module(tmp_path: Path) -> None:
    """Or from one that does."""
    head = "from torch import nn\n"
    for base in ("nn.Module", "nn.BatchNorm2d", "torch.nn.modules.batchnorm._BatchNorm"):
        assert kernel_of(f"{head}class New({base}):\n    pass\n", tmp_path, "") == ("module", "New", "")
    text = f"{head}class Model(nn.Module):\n    pass\nclass ModelNew(Model):\n    pass\n"
    assert kernel_of(text, tmp_path, "") == ("module", "ModelNew", "")


def test_a_function_of_triton_that_a_launcher_calls_is_not_the_kernel(tmp_path: Path) -> None:
    """Whatever its decorator was imported as."""
    for decorator in ("triton.jit", "jit", "triton.autotune(configs=[], key=[])", "triton.heuristics({})"):
        text = f"import triton\nfrom triton import jit\n@{decorator}\ndef k(x):\n    pass\n{DEFINED}"
        assert kernel_of(text, tmp_path, "") == ("callable", "bn", "triton")


def test_a_kernel_that_hangs_keeps_nobody_waiting_and_a_compiler_has_time(tmp_path: Path) -> None:
    """What the user gives goes before both."""
    texts = {
        "plain": DEFINED,
        "interpreted": f"import triton\n{DEFINED}",
        "compiled": f"import torch, triton\n{DEFINED}run = torch.compile(bn)\n",
    }
    given: dict[str, float | None] = {"open_seconds": None, "case_seconds": None}
    found = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        limits = limits_for(f"{tmp_path / name}.py::bn", given)
        found[name] = (limits.open_seconds, limits.case_seconds)
    assert [found["compiled"], found["interpreted"], found["plain"]] == [(o, c) for _, o, c in LIMITS]
    others = [limits_for(str(tmp_path / name), given).open_seconds for name in ("none.so", "solution.json")]
    assert others == [LIMITS[-1][1], LIMITS[0][1]]
    assert limits_for(f"{tmp_path / 'plain.py'}::bn", {**given, "open_seconds": 7.0}).open_seconds == 7.0
