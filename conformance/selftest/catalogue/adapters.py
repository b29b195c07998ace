"""Adapter classes of mutants and variants, for workers: ``bnspec.conformance.selftest.catalogue.adapters:NAME``."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """The adapter class of the mutant or variant of that name."""
    from bnspec.conformance.selftest.catalogue.catalogue import ALL

    for entry in ALL:
        if entry.name == name:
            return entry.adapter_class()
    raise AttributeError(name)
