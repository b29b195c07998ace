"""Verify on Ray: a cluster of three nodes on this machine, one of them killed; signals. Slow: ``make slow``, with bnspec[ray]."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bnspec.reports.run.store import Run, read_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: python -m pip install 'bnspec[ray]'"),
]
SUPPORT = Path(__file__).resolve().parents[1] / "support"

BACKENDS = ("numpy", "example_adapters:Right", "example_adapters:Wrong")
CALL = [
    "verify",
    *(w for b in BACKENDS for w in ("--backend", b)),
    "--clause",
    "epsilon",
    "--jobs",
    "1",
    "--effort",
    "device",
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of the calls: the example adapters are found; units keep their folders in "units"."""
    (tmp_path / "units").mkdir()
    return {**os.environ, "PYTHONPATH": str(SUPPORT), "TMPDIR": str(tmp_path / "units"), "RAY_TMPDIR": "/tmp"}


def said(run: Run) -> list[Any]:
    """Verdicts, counts, ratios, worst cases, which clauses have a cause, the judged cases: all but times.

    How clauses share causes is found in each shard (decision 0016).
    """
    found = [(f.backend, f.clause, f.verdict, f.cases, f.failures, f.declined, f.ratio, f.case) for f in run.findings]
    causes = [(c.backend, clause) for c in run.causes for clause in (c.clause, *c.also)]
    cases = [(t.backend, t.status) for t in run.targets]
    done = [(t.backend, sorted(t.cases.items())) for t in run.targets_finished]
    return [sorted(map(repr, part)) for part in (found, causes, cases, done)]


def test_a_lost_node_changes_no_verdict(tmp_path: Path, environment: dict[str, str]) -> None:
    """Its units are run again on those that are left; verdict by verdict the run is that of this machine alone."""
    there, here = tmp_path / "there", tmp_path / "here"
    call = [sys.executable, str(SUPPORT / "lost_node.py"), "1", *CALL, "--shards", "4", "--out", str(there)]
    ended = subprocess.run(call, check=False, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(ended.stdout.splitlines()[-1]) == {"status": 1, "killed": 1}, ended.stderr
    lost = list((tmp_path / "units").glob("bnspec-unit-*"))
    assert lost, "a unit was under way on the node: it left its folder"
    local = [sys.executable, "-m", "bnspec", *CALL, "--out", str(here)]
    assert subprocess.run(local, check=False, env=environment, capture_output=True, cwd=tmp_path).returncode == 1
    assert said(read_run(there)) == said(read_run(here))
    sys.stdout.write(f"\n{ended.stderr}\n{len(lost)} of 12 units lost\n")
    assert not list(tmp_path.glob("there.units"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_units(number: int, tmp_path: Path, environment: dict[str, str]) -> None:
    """Soon, with the call that goes on; no unit is left."""
    call = [sys.executable, "-m", "bnspec", *CALL, "--on", "ray", "--shards", "2", "--out", str(tmp_path / "run")]
    with subprocess.Popen(call, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 90
        while not units() and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1.0)
        process.send_signal(number)
        began = time.monotonic()
        _, words = process.communicate(timeout=30)
    assert (process.returncode, time.monotonic() - began < 8) == (128 + number, True), words
    assert "--resume" in words
    deadline = time.monotonic() + 10
    while units() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not units()


def units() -> list[str]:
    """The processes of units on this machine."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [p for p in listed if " -m bnspec verify " in p and "/bnspec-unit-" in p]
