"""The package indexes that this machine's pip and uv are configured with: for both installers, and to ask for releases."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

#: pip's names of its settings, and the variables of uv that say the same.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
}
SECONDS = 30.0
#: A program that prints pip's own index, which it asks where nothing is configured.
PIPS_OWN = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


@dataclass(frozen=True)
class Index:
    """Where packages come from.

    Attributes:
        url: the index; extra: further ones; links: folders and pages of files; none: whether no index is asked.
    """

    url: str = ""
    extra: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    none: bool = False

    @property
    def urls(self) -> tuple[str, ...]:
        """All indexes that can be asked for the releases of a package, the further ones first."""
        own = self.url or pips_own()
        return () if self.none else (*self.extra, *([own] if own else []))

    def options(self) -> list[str]:
        """The options of pip and uv."""
        found = [f"--find-links={link}" for link in self.links]
        if self.none:
            return [*found, "--no-index"]
        found += [f"--index-url={self.url}"] if self.url else []
        return [*found, *(f"--extra-index-url={url}" for url in self.extra)]


def configured(environ: Mapping[str, str] | None = None) -> Index:
    """uv's variables where they are set, otherwise what pip is configured with."""
    environ = os.environ if environ is None else environ
    pip = {**_pip_files(), **_pip_variables(environ)}
    said = {n: next((v for u in uv if (v := environ.get(u))), pip.get(n, "")) for n, uv in SETTINGS.items()}
    extra, links = (tuple(said[n].replace(",", " ").split()) for n in ("extra-index-url", "find-links"))
    return Index(said["index-url"], extra, links, said["no-index"].lower() in ("1", "true", "yes", "on"))


def _pip_variables(environ: Mapping[str, str]) -> dict[str, str]:
    names = {n: f"PIP_{n.replace('-', '_').upper()}" for n in SETTINGS}
    return {n: environ[v] for n, v in names.items() if v in environ}


@cache
def _pip_files() -> dict[str, str]:
    """What pip's files of configuration say; nothing where there is no pip."""
    found: dict[str, str] = {}
    for line in _said("-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in ("global", "install") and key in SETTINGS:
            found[key] = " ".join(shlex.split(value)).replace("\\n", " ")
    return found


@cache
def pips_own() -> str:
    """The index that pip asks where nothing is configured; "" where there is no pip."""
    return _said("-c", PIPS_OWN).strip()


def _said(*words: str) -> str:
    """What a Python process says; "" where it fails."""
    try:
        end = subprocess.run(
            [sys.executable, "-P", *words], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return end.stdout if end.returncode == 0 else ""
