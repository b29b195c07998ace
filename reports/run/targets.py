"""The record of a target that was opened, or could not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bnspec.model.conventions import Conventions
from bnspec.reports.run.records import EnvironmentRecord, TargetRecord
from bnspec.reports.run.vocabulary import TargetStatus


class Housed(Protocol):
    """What is asked of an environment: ``bnspec.backends.harness.environments.environment.Environment`` has it."""

    @property
    def text(self) -> str:
        """Its specification."""

    @property
    def version(self) -> str:
        """Of its Python."""

    @property
    def lock(self) -> str:
        """The hash of its lock."""

    @property
    def packages(self) -> Mapping[str, str]:
        """Releases by package."""


class Opened(Protocol):
    """What is asked of a worker's answer: ``bnspec.backends.harness.launcher.Hello`` has it."""

    @property
    def status(self) -> TargetStatus:
        """Ready, or why not."""

    @property
    def reason(self) -> str:
        """Why, when not ready."""

    @property
    def versions(self) -> Mapping[str, str]:
        """By package."""

    @property
    def conventions(self) -> Conventions | None:
        """What the adapter declares, when ready."""

    @property
    def details(self) -> Mapping[str, Any]:
        """The framework's name among them, and what it ran on."""

    @property
    def environment(self) -> Housed | None:
        """That it lives in, None: that of the harness."""


def opened_target(backend: str, device: str, hello: Opened) -> TargetRecord:
    """What a backend on a device answered when it was opened."""
    return TargetRecord(
        backend,
        device,
        hello.status,
        hello.reason,
        str(hello.details.get("framework", "")),
        {str(k): str(v) for k, v in hello.versions.items()},
        hello.conventions.to_json() if hello.conventions else {},
        _environment(hello.environment),
        {str(k): str(v) for k, v in hello.details.get("ran_on", {}).items()},
    )


def _environment(housed: Housed | None) -> EnvironmentRecord | None:
    if housed is None:
        return None
    return EnvironmentRecord(housed.text, housed.version, housed.lock, dict(housed.packages))
