"""A package of three releases, as wheels."""

from __future__ import annotations

from pathlib import Path

from bnspec.conformance.selftest.wheels import write_host_numpy, write_wheel


def write_releases(folder: Path) -> None:
    """Write three releases of a package, the last of which needs what there is not, and NumPy."""
    for release, requires in (("1.0", ()), ("1.1", ()), ("2.0", ("bnspec_nowhere",))):
        write_wheel(folder, "bnspec_small", release, {"bnspec_small.py": f"RELEASE = {release!r}\n"}, requires)
    write_host_numpy(folder, "2.0.0")
