"""Every error that the sources raise says what, why and how to mend it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from bnspec.cli import bnspec as group
from bnspec.cli import main
from bnspec.errors import UsageError

#: Of a step: what they say becomes the message of an observation, which nobody is told to mend.
OF_A_STEP = ("backends/worker/execution.py", "backends/worker/networks.py")


def silent(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that make an error without a why or without a fix."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in ("UsageError", "HarnessError") or any(isinstance(a, ast.Starred) for a in node.args):
            continue
        given = [*node.args[1:], *(k.value for k in node.keywords if k.arg in ("why", "fix"))]
        if len(given) < 2 or any(isinstance(t, ast.Constant) and not t.value for t in given):
            yield node


def test_no_error_is_without_its_why_or_its_fix(root: Path) -> None:
    """A literal empty text, or none, where a person would read two lines instead of three."""
    folders = ("bnspec", "backends", "conformance", "benchmarks", "reports")
    files = sorted({f.resolve() for folder in folders for f in (root / folder).rglob("*.py")})
    found = [
        f"{name}:{call.lineno}"
        for file in files
        if (name := file.relative_to(root).as_posix()) not in OF_A_STEP
        for call in silent(ast.parse(file.read_text("utf-8")))
    ]
    assert found == []


def test_an_error_of_others_has_three_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An adapter, or another package's command, may raise one without a why."""

    def fails(*_: Any, **__: Any) -> int:
        raise UsageError("no such layer.")

    command = group.get_command(click.Context(group), "explain")
    assert command is not None
    monkeypatch.setattr(command, "callback", fails)
    assert main(["explain"]) == 2
    assert [line[:8] for line in capsys.readouterr().err.splitlines()] == ["bnspec e", "  Why:  ", "  Fix:  "]
