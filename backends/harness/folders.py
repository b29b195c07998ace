"""The backend folders: each holds a framework's adapters, and says in ``environment.toml`` what they need.

    backends/torch/environment.toml   packages by name and range; which backends the report and the tests take
    backends/torch/*.py               adapters and what they share: the worker's side
    backends/torch/harness/known.py   KNOWN: the known deviations of its backends; CHOICES: what is recorded only
    backends/torch/harness/repro.py   WRITERS: for each backend the class that writes its repro scripts

A folder that says ``own = true`` has an environment of its own: where its packages are not installed beside this program, its
backends run in one that is built from ``packages`` when they are first asked for.

``python -m bnspec.backends.harness.folders FIELD`` prints a field of all folders without ``own``, for the Makefile.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGE = "bnspec.backends"
ENVIRONMENT = "environment.toml"

#: What environment.toml holds, as lists and as tables.
LISTS = ("imports", "packages", "tested", "folders", "report", "gate")
TABLES = ("compilation_cache", "cold")
#: An entry of ``[[companions]]``: see ``environments.companions``.
CompanionTable = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class BackendFolder:
    """A folder of ``backends/`` with its environment.

    Attributes:
        name: of the folder, e.g. "torch".
        imports: import names that only its adapters use; packages: requirements by name and range; tested: the releases
            that are pinned; folders: others whose packages are needed, too.
        report: the backends that ``make report`` takes; gate: those that ``make test`` takes.
        own: whether its backends run in an environment of their own where its packages are not installed.
        companions: what some releases need besides what they say themselves.
        compilation_cache: variables by which the framework keeps compiled programs in "{folder}"; cold: by which it does not.
    """

    name: str
    imports: tuple[str, ...]
    packages: tuple[str, ...]
    tested: tuple[str, ...]
    folders: tuple[str, ...]
    report: tuple[str, ...]
    gate: tuple[str, ...]
    own: bool = False
    companions: tuple[CompanionTable, ...] = dataclasses.field(default=(), hash=False)
    compilation_cache: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    cold: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def harness_object(self, module: str, name: str) -> Any:
        """An object of a module of the folder's ``harness``; None where there is no such module, or no such name in it."""
        place = f"{PACKAGE}.{self.name}.harness"
        if importlib.util.find_spec(place) is None or importlib.util.find_spec(f"{place}.{module}") is None:
            return None
        return getattr(importlib.import_module(f"{place}.{module}"), name, None)


@functools.cache
def backend_folders() -> tuple[BackendFolder, ...]:
    """Every folder of ``backends/`` that holds a framework's adapters, sorted by name."""
    root = Path(__file__).resolve().parents[1]
    found = []
    for file in sorted(root.glob(f"*/{ENVIRONMENT}")):
        data = tomllib.loads(file.read_text("utf-8"))
        fields: dict[str, Any] = {name: tuple(data.get(name, ())) for name in LISTS}
        fields.update({name: data[name] for name in TABLES if name in data})
        fields.update(own=bool(data.get("own", False)), companions=tuple(data.get("companions", ())))
        found.append(BackendFolder(file.parent.name, **fields))
    return tuple(found)


def main(arguments: list[str]) -> int:
    """Print one field of all folders but those with an environment of their own, separated by spaces."""
    print(" ".join(dict.fromkeys(word for f in backend_folders() if not f.own for word in getattr(f, arguments[0]))))  # noqa: T201 - for the Makefile
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
