"""The machine that a run was made on, as far as it explains the numbers. Never a host name, a user or a path."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from bnspec.model.nvml import gpus


def describe_machine() -> dict[str, Any]:
    """CPU model, logical cores (and those this process may use), memory, system and Python; GPUs where the driver tells of any."""
    there = gpus()
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **({"gpu": "; ".join(f"{name} {value}" for gpu in there for name, value in gpu.items())} if there else {}),
    }


def _cpu_model() -> str:
    """The processor's own name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "cpu model") and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def _memory_bytes() -> int | None:
    """Physical memory, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
