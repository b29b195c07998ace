"""A package with an adapter that runs at once: what ``bnspec new`` writes, to be filled with somebody's own layer."""

from __future__ import annotations

import builtins
import contextlib
import keyword
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from bnspec.backends.harness.registry import registered
from bnspec.errors import FULL, UsageError

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
ADAPTER = '''"""{name} as a backend of bnspec: replace the computations of Layer by calls of your own layer."""

import numpy as np

from bnspec.contract import Adapter, Conventions, Gradients, Layer, State


class {Class}(Adapter):
    """Opens {name}; import its package in __init__, so that a missing one is reported and not raised."""

    framework = "numpy"  # the package whose version is reported
    conventions = Conventions(running_correction=0, momentum_weighs="none", count_one="biased", empty_batch="raises")

    def layer(self, config, gamma, beta, running_mean, running_var):
        return {Class}Layer(config, gamma, beta, running_mean, running_var)


class {Class}Layer(Layer):
    """One layer over these arrays; raise bnspec.contract.Declined for what yours does not offer."""

    def __init__(self, config, gamma, beta, running_mean, running_var):
        self.config, self.axes, self.mean, self.var = config, config.reduce_axes, running_mean, running_var
        self.gamma = 1.0 if gamma is None else self.wide(gamma)
        self.beta = 0.0 if beta is None else self.wide(beta)

    def training(self, x):
        return self.forward(x, *self.learn(x))[0]

    def inference(self, x):
        return self.forward(x, self.wide(self.mean), self.wide(self.var))[0]

    def training_gradients(self, x, dy):
        y, zhat, slope = self.forward(x, *self.learn(x))
        g = dy.astype(np.float64)
        through_mean, through_var = g.mean(self.axes, keepdims=True), (g * zhat).mean(self.axes, keepdims=True)
        return self.gradients(y, slope * (g - through_mean - zhat * through_var), g, zhat)

    def inference_gradients(self, x, dy):
        y, zhat, slope = self.forward(x, self.wide(self.mean), self.wide(self.var))
        return self.gradients(y, slope * dy, dy.astype(np.float64), zhat)

    def state(self):
        return State(self.mean, self.var)

    def wide(self, channels):
        return channels.astype(np.float64).reshape(self.config.channel_shape)

    def learn(self, x):
        if x.size == 0:
            raise ValueError("an empty batch has no statistics")
        x, decay = x.astype(np.float64), self.config.decay
        mean, var = x.mean(self.axes, keepdims=True), x.var(self.axes, keepdims=True)
        for running, batch in (self.mean, mean), (self.var, var):
            running[:] = decay * running.astype(np.float64) + (1 - decay) * batch.ravel()
        return mean, var

    def forward(self, x, mean, var):
        inv_std = 1 / np.sqrt(var + self.config.epsilon)
        zhat = (x - mean) * inv_std
        return (self.gamma * zhat + self.beta).astype(x.dtype), zhat, self.gamma * inv_std

    def gradients(self, y, dx, g, zhat):
        sums = [a.sum(self.axes).astype(self.mean.dtype) for a in (g * zhat, g)]
        return Gradients(y, dx.astype(y.dtype), *(sums if self.config.affine else (None, None)))
'''
#: What the adapter's module imports.
IMPORTED = ("Adapter", "Conventions", "Gradients", "Layer", "State")
PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "bnspec-{name}"
version = "0.1.0"
dependencies = ["bnspec"]

[project.entry-points."bnspec.backends"]
{name} = "bnspec_{name}.adapter:{Class}"

[tool.setuptools]
packages = ["bnspec_{name}"]
"""
TEST = '''"""{name} keeps the clauses of the specification, but for those whose reason is written here."""

import pytest
from bnspec_{name}.adapter import {Class}

from bnspec import check_backend

EXPECTED_FAILURES = {{}}  # clause: reason


@pytest.mark.parametrize("check", check_backend({Class}, expected_failures=EXPECTED_FAILURES), ids=str)
def test_{name}(check):
    check()
'''
CONFTEST = '''"""The package is found without being installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
'''


def write_new(name: str, folder: Path) -> list[Path]:
    """Write the package, whole or not at all; returns its files.

    Raises UsageError: the name is no word, one of Python's own as a class, or taken; the folder is there, or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a backend.",
            "it becomes a module: small letters, digits and underscores, a letter first.",
            "choose such a name, for example my_layer.",
        )
    if keyword.iskeyword(class_of(name)) or hasattr(builtins, class_of(name)) or class_of(name) in IMPORTED:
        raise UsageError(
            f"{name!r} cannot be the name of a backend.",
            f"its adapter would be the class {class_of(name)}, and that name is Python's or the contract's.",
            "choose another name, for example my_layer.",
        )
    if name in {entry.name for entry in registered()}:
        raise UsageError(
            f"{name!r} cannot be the name of a backend.",
            "a package that is installed here has registered it, and a name means one backend.",
            "choose another name, for example my_layer; bnspec backends lists those that are taken.",
        )
    if os.path.lexists(folder):
        raise UsageError(
            f"{folder} is there already.", "nothing is overwritten.", "remove it, or choose another --out."
        )
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        return [_written(folder / place, text) for place, text in files(name)]
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            for place in made[1:]:
                place.rmdir()
        if error.errno in FULL:
            raise
        fix = "choose another --out, in a folder that you may write to."
        raise UsageError(f"{folder} cannot be written.", f"{error.strerror}.", fix) from None


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def files(name: str) -> Iterator[tuple[str, str]]:
    """(path, text) of each file."""
    words = {"name": name, "Class": class_of(name)}
    package = f"bnspec_{name}"
    yield "pyproject.toml", PYPROJECT.format(**words)
    yield f"{package}/__init__.py", f'"""{name} as a backend of bnspec."""\n'
    yield f"{package}/adapter.py", ADAPTER.format(**words)
    yield "conftest.py", CONFTEST
    yield f"tests/test_{name}.py", TEST.format(**words)


def class_of(name: str) -> str:
    """The adapter's class: MyLayer for my_layer."""
    return "".join(word.capitalize() for word in name.split("_"))
