"""Runs the atlas's repro scripts in the environments of its releases, and records what they print."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.installer import cleared
from bnspec.conformance.atlas.measure import Job
from bnspec.conformance.repro.execute import CPU_ONLY, ENVIRONMENT
from bnspec.reports.atlas.repros import Printed, digest_of, encode_printed, read_printed, scripts_of
from bnspec.reports.run.store import write_atomically

#: Seconds of a script.
SECONDS = 180.0
#: Characters of a line.
LINE_AT_MOST = 160


def run_scripts(jobs: Iterable[Job], folder: Path) -> None:
    """What is missing of a package: each script in each of its releases. ``folder``: the package's."""
    listed = list(jobs)
    for script in scripts_of(folder):
        record = script.with_suffix(".json")
        known, digest = read_printed(record), digest_of(script)
        lines = dict(known.releases) if known.script == digest else {}
        there = [job for job in listed if (folder / f"{job.release}.json").exists()]
        for job in there:
            if job.release in lines:
                continue
            try:
                lines[job.release] = printed(script, obtain(job.spec).python)
            except NotBuilt:
                continue
        ordered = {job.release: lines[job.release] for job in there if job.release in lines}
        if (ordered, digest) != (dict(known.releases), known.script):
            write_atomically(record, encode_printed(Printed(digest, ordered)))


def printed(script: Path, python: str, variables: Mapping[str, str] = os.environ) -> str:
    """The last line that it prints; of one that raises, the kind of the exception and the beginning of its message."""
    environment = {**cleared(variables), **ENVIRONMENT, **CPU_ONLY}
    with tempfile.TemporaryDirectory(prefix="bnspec-atlas-", ignore_cleanup_errors=True) as folder:
        try:
            end = subprocess.run(
                [python, "-I", str(script.resolve())],
                env=environment,
                cwd=folder,
                capture_output=True,
                timeout=SECONDS,
                check=False,
                text=True,
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            return f"no end within {SECONDS:.0f} s"
    if end.returncode < 0:
        return f"dies of signal {-end.returncode}"
    lines = raised(end.stderr) if end.returncode else end.stdout.strip().splitlines()[-1:]
    line = re.sub(r"\s+", " ", lines[-1] if lines else "nothing")
    return ("raises " * bool(end.returncode) + line)[:LINE_AT_MOST]


def raised(traceback: str) -> list[str]:
    """The line of the exception: the first that is not indented, after the last place in the code."""
    lines = traceback.splitlines()
    places = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    after = lines[places[-1] :] if places else lines
    return [line for line in after if line[:1].strip()][:1]
