"""Wheels of a file or two, so that environments are resolved and built in a moment and without a network."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def write_wheel(folder: Path, name: str, release: str, files: Mapping[str, str], requires: Sequence[str] = ()) -> None:
    """Write a wheel with these files by their path in site-packages. ``requires``: requirements, as pip reads them."""
    info = f"{name}-{release}.dist-info"
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    every = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    every[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*every, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{release}-py3-none-any.whl", "w") as wheel:
        for path, text in every.items():
            wheel.writestr(path, text)


def write_host_numpy(folder: Path, *releases: str) -> None:
    """Write wheels, each of which gives an environment the NumPy that is installed here under another release's number."""
    for release in releases:
        write_wheel(folder, "numpy", release, {"host.pth": f"{Path(np.__file__).parents[1]}\n"})
