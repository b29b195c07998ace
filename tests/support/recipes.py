"""CONTRIBUTING.md as a program: its code blocks, and copies of the repository to follow them in."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>\w+)(?: (?P<target>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
#: Beside what git tracks, what is about to be.
LISTING = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file that it goes into (or nothing), and its text."""

    language: str
    target: str
    text: str


def blocks(root: Path, page: str = "CONTRIBUTING.md") -> list[Block]:
    """The fenced blocks of a page, in order; a fence names the file: ```python conformance/checks/forward.py."""
    found = FENCE.finditer((root / page).read_text("utf-8"))
    return [Block(f["language"], f["target"] or "", f["text"]) for f in found]


def copy_of(root: Path, path: Path) -> Path:
    """A copy of the repository's files, links kept, without git."""
    if not (root / ".git").exists():
        shutil.copytree(
            root, path, symlinks=True, ignore=shutil.ignore_patterns(".venv", "runs", "__pycache__", "*.egg-info")
        )
        return path
    listed = subprocess.run(LISTING, cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_symlink() or (root / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, path / name, follow_symlinks=False)
    return path


def put(block: Block, path: Path) -> None:
    """Put a block into its file of the copy: an indented one before the bracket that ends the file, another one at the end."""
    file = path / block.target
    text = file.read_text("utf-8")
    if not block.text.startswith("    "):
        file.write_text(f"{text.rstrip()}\n\n\n{block.text}", "utf-8")
        return
    if not text.endswith("\n)\n"):
        raise AssertionError(f"{block.target} does not end with a tuple, which the recipe adds to")
    file.write_text(text.removesuffix(")\n") + block.text + ")\n", "utf-8")
