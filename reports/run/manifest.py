"""The manifest of a new run."""

from __future__ import annotations

import datetime
import secrets
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bnspec import __version__
from bnspec.clauses import VERSION
from bnspec.reports.run.machine import describe_machine
from bnspec.reports.run.records import Manifest

#: Packages of the harness itself whose versions decide what a run generates and how it judges.
PACKAGES = ("numpy", "numpy_quaddtype", "ml_dtypes", "hypothesis")


def new_manifest(kind: str, command: str, seed: int | None, effort: str, options: dict[str, Any]) -> Manifest:
    """A manifest for a run that starts now; its id is the kind, the time and four hex digits."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    run_id = f"{kind}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    return Manifest(
        run_id, command, now.isoformat(), __version__, seed, effort, describe_machine(), _versions(), options
    )


def finished_now() -> str:
    """The time at which a run ends, for its last record."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()


def _versions() -> dict[str, str]:
    found = {"specification": VERSION}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
