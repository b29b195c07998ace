"""Shared by the OpenVINO backends."""

from __future__ import annotations

from typing import Any


def release(openvino: Any) -> str:
    """OpenVINO's release, without the number of its build and what follows."""
    return str(openvino.__version__).partition("-")[0]
