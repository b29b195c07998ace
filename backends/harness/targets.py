"""Targets: backends on devices, as a command line names them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bnspec.backends.harness.environments.homes import missing
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry, select
from bnspec.backends.worker.devices import LISTING
from bnspec.errors import UsageError

DEVICE = re.compile(r"[a-z]+(:\d+)?")


@dataclass(frozen=True)
class Target:
    """A backend on a device."""

    entry: Entry
    device: str

    @property
    def name(self) -> str:
        """``backend@device``."""
        return f"{self.entry.name}@{self.device}"

    @property
    def number(self) -> int | None:
        """Which accelerator it is, whatever a framework calls its kind; None for the host."""
        return None if self.on_host else int(self.device.partition(":")[2] or 0)

    @property
    def on_host(self) -> bool:
        """Whether the device is the host's processor."""
        return self.device.partition(":")[0] == "cpu"


def targets_of(backends: Sequence[str], devices: Sequence[str], elsewhere: bool = False) -> list[Target]:
    """The targets that patterns name.

    A device is taken as it is ("cpu", "cuda:0"); a glob ("*", "c*") stands for the kinds that each backend knows, absent ones
    included: they are reported as absent. ``elsewhere``: files of own adapters may lie on another machine alone.

    Raises UsageError: no such backend, no such file of an own adapter, or no such form of a device.
    """
    entries = chosen(backends)
    if not elsewhere:
        refuse_no_file(entries)
        refuse_malformed(entries)
    targets: list[Target] = []
    for device in devices or ["cpu"]:
        if any(c in device for c in "*?["):
            known = devices_of(entries)
            targets += [Target(e, d) for e in entries for d in known[e] if fnmatch.fnmatchcase(d, device)]
        elif DEVICE.fullmatch(device):
            targets += [Target(e, device) for e in entries]
        else:
            raise UsageError(
                f"{device!r} is no device.",
                "a device is a kind with an optional number, or a glob over kinds.",
                "give cpu, cuda:0, gpu:0 or '*'.",
            )
    if not targets:
        raise UsageError(
            f"no backend knows a device like {', '.join(devices)}.",
            "a glob is compared with the kinds that each one names.",
            "bnspec backends lists them.",
        )
    return list(dict.fromkeys(targets))


def refuse_no_file(entries: Sequence[Entry]) -> None:
    """Raise UsageError where the file of an own adapter is not there: before another backend is judged beside it."""
    for entry in entries:
        file = entry.adapter.rpartition(":")[0]
        if entry.own and file.endswith(".py") and not os.path.isfile(file):
            raise UsageError(
                f"{entry.name}: {file} does not exist.", "an adapter of one's own is in a file.", "check the path."
            )


def refuse_malformed(entries: Sequence[Entry]) -> None:
    """Raise UsageError where an own adapter beside other backends is none: its module or class is missing, or no adapter.

    It is opened for that: what is named wrongly is said before another backend is judged. Alone, it is opened first anyway.
    """
    for entry in entries if len(entries) > 1 else ():
        if entry.own and missing(entry) is None:
            Worker(entry, "cpu", environment={LISTING: "1"}).stop()


def chosen(patterns: Sequence[str]) -> list[Entry]:
    """The backends that the patterns name; without a pattern, those for which no environment has to be built first.

    "*" names all. Raises UsageError: a pattern that matches nothing.
    """
    return [e for e in select(patterns) if patterns or missing(e) is None]


def devices_of(entries: Sequence[Entry], jobs: int = 2) -> dict[Entry, dict[str, str]]:
    """Each backend's kinds of device with their state; a backend that does not open has only its cpu, with the reason."""
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return {e: d["devices"] for e, d in zip(entries, pool.map(describe, entries), strict=True)}


def unbuilt(entry: Entry) -> dict[str, Any]:
    """The row of a backend whose environment is not there, and is not built for a list."""
    state = "not built: its environment is built when the backend is named, as by bnspec verify --backend NAME"
    return {"backend": entry.name, "framework": "", "version": "", "versions": {}, "devices": {"cpu": state}}


def describe(entry: Entry) -> dict[str, Any]:
    """One backend as ``bnspec backends`` shows it: framework, version, devices."""
    worker = Worker(entry, "cpu", environment={LISTING: "1"})
    try:
        hello = worker.hello
        devices = worker.devices() if hello.status == "ready" else {"cpu": f"{hello.status}: {hello.reason}"}
    finally:
        worker.stop()
    framework = str(hello.details.get("framework", ""))
    return {
        "backend": entry.name,
        "framework": framework,
        "version": str(hello.versions.get(framework, "")),
        "versions": dict(hello.versions),
        "devices": devices,
    }
