"""What setuptools reads from the folders: every package, and an extra for each backend folder.

The rest is in pyproject.toml. ``pip install 'bnspec[torch]'`` brings what ``backends/torch/environment.toml`` asks for, and
``bnspec[cpu]`` what all of them do but those with an environment of their own, which is built when it is asked for.
"""

import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
FOLDERS = ("bnspec", "backends", "conformance", "benchmarks", "reports")


def packages() -> list[str]:
    """Every folder with an ``__init__.py``, under its installed name; the links inside bnspec/ are not followed."""
    found = []
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("__init__.py")):
            parts = file.parent.relative_to(ROOT).parts
            if folder == "bnspec" and len(parts) > 1 and parts[1] in FOLDERS:
                continue
            found.append(".".join(parts if folder == "bnspec" else ("bnspec", *parts)))
    return found


def extras() -> dict[str, list[str]]:
    """For each backend folder its requirements and those of the folders it names; "cpu": all but those with ``own``."""
    files = sorted((ROOT / "backends").glob("*/environment.toml"))
    said = {f.parent.name: tomllib.loads(f.read_text("utf-8")) for f in files}

    def needed(name: str) -> list[str]:
        return said[name]["packages"] + [p for other in said[name]["folders"] for p in needed(other)]

    found = {name: needed(name) for name in said}
    together = {p for name, packages in found.items() if not said[name].get("own") for p in packages}
    return {**found, "cpu": sorted(together)}


#: ``pytest conformance`` and ``pytest benchmarks``.
PYTEST = ["pytest>=8", "pytest-benchmark>=5"]
#: ``bnspec verify --on ray``; its client for clusters that this machine is not part of.
RAY = ["ray[client]>=2.9"]
DEV = [
    *PYTEST,
    "pytest-xdist>=3.6",
    "ruff>=0.8",
    "mypy>=1.13",
    "pre-commit>=4",
    "jsonschema>=4.20",  # tests hold records and vectors to their schemas
    "build>=1.2",
    "setuptools>=77",  # the wheel test builds without isolation, so offline
    "pyyaml>=6",  # the workflows are read by a test,
]

setup(
    packages=packages(),
    package_dir={f"bnspec.{name}": name for name in FOLDERS[1:]},
    extras_require={**extras(), "pytest": PYTEST, "ray": RAY, "dev": DEV},
)
