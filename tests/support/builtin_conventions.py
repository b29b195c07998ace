"""The conventions declared by the built-in adapters, read without opening a framework."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

from bnspec.model.conventions import Conventions

_PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))


def _declared(adapter: str) -> Conventions:
    module, _, name = adapter.partition(":")
    conventions: Conventions = getattr(importlib.import_module(module), name).conventions
    return conventions


#: By backend.
BUILTIN = {n: _declared(a) for n, a in _PYPROJECT["project"]["entry-points"]["bnspec.backends"].items()}
