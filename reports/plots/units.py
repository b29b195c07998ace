"""Numbers with their units for a person: bytes, bandwidths, counts."""

from __future__ import annotations


def bytes_text(size: float | None) -> str:
    """A size in memory: ``1.5 MiB``."""
    if size is None:
        return ""
    for unit, factor in (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10)):
        if size >= factor:
            return f"{_three(size / factor)} {unit}"
    return f"{_three(size)} B"


def bandwidth_text(speed: float) -> str:
    """Bytes per second: ``12.5 GB/s``."""
    for unit, factor in (("TB/s", 1e12), ("GB/s", 1e9), ("MB/s", 1e6)):
        if speed >= factor:
            return f"{_three(speed / factor)} {unit}"
    return f"{_three(speed / 1e3)} kB/s"


def count_text(count: float) -> str:
    """How many: ``512``, ``20k``, ``1.5M``."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if count >= factor:
            return f"{_three(count / (1e3 if unit == 'k' else factor))}{unit}"
    return _three(count)


def power_text(value: float) -> str:
    """A number that may be small or large: ``0.01``, ``1``, ``1e-5``."""
    return f"{value:g}" if 1e-3 <= value < 1e4 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def times_text(factor: float) -> str:
    """A factor: ``1.5×``."""
    return f"{factor:.3g}×"


def factor_text(factor: float) -> str:
    """A ratio of times in three digits, and in more where they would say 1 of what is not 1: a verdict hangs on the side."""
    if factor < 0.01:
        return f"{factor:.1g}"
    return f"{factor:.4f}" if factor != 1 and f"{factor:.3g}" == "1" else f"{factor:.3g}"


def percent_text(share: float | None) -> str:
    """A share: ``62 %``, ``4.5 %``; a factor where it is ten or more: ``71×``."""
    if share is None:
        return ""
    if share >= 10:
        return f"{share:.0f}×"
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _three(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
