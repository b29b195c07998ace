"""``bnspec backends``, ``bnspec environments`` and ``bnspec new``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from bnspec.cli import CONFORMS, FAILED
from bnspec.errors import UsageError
from bnspec.options import BACKEND, JSON, Number, command, folder


@command(
    "backends",
    summary="list backends and devices: ready, or why not",
    example="bnspec backends --backend 'torch.*'",
    params=[BACKEND, JSON],
)
def backends(command_line: str, backend: Sequence[str], as_json: bool) -> int:
    """List every backend with the version of its framework and, for each kind of device, whether it is ready or why not."""
    from concurrent.futures import ThreadPoolExecutor

    from bnspec.backends.harness.environments.homes import missing
    from bnspec.backends.harness.listing import print_backends
    from bnspec.backends.harness.registry import select
    from bnspec.backends.harness.targets import describe, unbuilt
    from bnspec.terminal.console import print_json

    entries = select(backend)
    listed_only = set() if backend else {e for e in entries if missing(e)}
    with ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(lambda e: unbuilt(e) if e in listed_only else describe(e), entries))
    if as_json:
        print_json(rows)
    else:
        print_backends(rows)
    return CONFORMS


@command(
    "new",
    summary="write a package with a backend that runs at once",
    example="bnspec new my_layer\nbnspec verify --backend my_layer/bnspec_my_layer/adapter.py:MyLayer",
    params=[
        click.Argument(["name"], help="The backend's name: small letters, digits and underscores."),
        folder("--out", help="Write the package here; by default in a folder of its name."),
        JSON,
    ],
)
def new(command_line: str, name: str, out: Path | None, as_json: bool) -> int:
    """Write a package with an adapter, its entry point and a test, which run as they are; then put your own layer in.

    The entry point makes it a backend of every command once the package is installed: pip install -e NAME.
    """
    from bnspec.backends.harness.new import class_of, write_new
    from bnspec.terminal.console import print_json, terminal, verbatim

    target = out or Path(name)
    written = write_new(name, target)
    adapter = f"{target / f'bnspec_{name}' / 'adapter.py'}:{class_of(name)}"
    if as_json:
        print_json({"folder": str(target), "backend": adapter, "files": [str(path) for path in written]})
        return CONFORMS
    console = terminal()
    for path in written:
        verbatim(console, str(path))
    verbatim(console, f"\n{shlex.join(['bnspec', 'verify', '--backend', adapter])}")
    return CONFORMS


@command(
    "environments",
    summary="list, make and remove environments of backends",
    example="bnspec environments list\nbnspec environments make 'jax==0.4.20' 'jax==0.6.2'\nbnspec environments prune --days 30",
    params=[
        click.Argument(["action"], type=click.Choice(("list", "make", "remove", "prune")), help="What to do: list those that there are; make those of specifications; remove some by their locks; prune those that were not used lately."),
        click.Argument(["what"], nargs=-1, help="Of make: specifications, as 'jax==0.4.20' or 'jax==0.4.20,jaxlib==0.4.20;python=3.11;before=2024-01-01'. Of remove: locks, or their beginnings."),
        click.Option(["--days"], type=Number(0.0), default=30.0, metavar="N", help="Of prune: remove what was not used for N days."),
        JSON,
    ],
)  # fmt: skip
def environments(command_line: str, action: str, what: Sequence[str], days: float, as_json: bool) -> int:
    """List, make and remove environments: releases of frameworks that verify and its kin can take a backend into.

    An environment is named in brackets behind a backend, bnspec verify --backend 'jax.numpy[jax==0.4.20]', and is made there too.
    It is resolved once, locked with hashes, built once and kept in the user's cache. Exit status 3: one could not be made.
    """
    from bnspec.backends.harness.environments.cache import kept, prune, remove
    from bnspec.backends.harness.environments.table import kept_json, print_kept
    from bnspec.terminal.console import print_json

    wants_names = action in ("make", "remove")
    if wants_names != bool(what):
        raise UsageError(
            f"{action} {'names nothing' if wants_names else 'takes no names'}.",
            "make takes specifications, remove takes locks, list and prune take none.",
            "bnspec environments --help shows examples.",
        )
    if action == "make":
        return _make(what, as_json)
    found = kept() if action == "list" else remove(what) if action == "remove" else prune(days)
    if as_json:
        print_json({action: [kept_json(k) for k in found]})
    else:
        print_kept(found, "there is no environment" if action == "list" else "nothing was removed")
    return CONFORMS


def _make(what: Sequence[str], as_json: bool) -> int:
    """Make environments."""
    from bnspec.backends.harness.environments.failure import NotBuilt
    from bnspec.backends.harness.environments.prepare import prepare
    from bnspec.backends.harness.environments.spec import parse
    from bnspec.backends.harness.environments.table import made_json
    from bnspec.backends.harness.interruption import stoppable
    from bnspec.terminal.console import print_json
    from bnspec.terminal.progress import Progress

    specs = [parse(text) for text in what]
    with stoppable(), Progress(as_json) as progress:
        made = prepare(specs, progress)
    if as_json:
        print_json({"make": [made_json(s.text, m) for s, m in zip(specs, made, strict=True)]})
    return FAILED if any(isinstance(m, NotBuilt) for m in made) else CONFORMS
