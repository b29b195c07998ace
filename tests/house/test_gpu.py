"""``make gpu``: it says where it cannot run, a rehearsal is marked everywhere, and a stage that hangs costs its own limit alone."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu import run as gpu
from tests.gpu.run import REHEARSAL, Places, Stage, from_lines, main, stages, summary

#: How the devices of accelerators are called.
ACCELERATOR = re.compile(r"\b(cuda|gpu|tpu|mps|xpu)(:\d+)?\b(?!-)")


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What, why and fix, status 2, and no file that could be taken for a result."""
    monkeypatch.setattr(gpu, "why_not", lambda: "PyTorch 2.11 sees no GPU")
    assert main(["--out", str(tmp_path / "gpu")]) == 2
    said = capsys.readouterr().err
    assert "there is no GPU here" in said
    assert "Why:" in said
    assert "Fix:" in said
    assert not (tmp_path / "gpu").exists()


def test_a_rehearsal_names_no_accelerator(tmp_path: Path) -> None:
    """Its calls are those of the GPU with other devices: no row can be mistaken."""
    at = Places("cpu", "cpu", "cpu:1", "cpu", rehearsal=True)
    rehearsed, real = ({s.name: s for s in stages(p, tmp_path)} for p in (at, Places()))
    assert rehearsed.keys() == real.keys()
    assert len(rehearsed) + len(("facts", "summary")) <= 8
    for stage in rehearsed.values():
        devices = [word for word in stage.command if not word.startswith(("/", "tests.gpu"))]
        assert not any(ACCELERATOR.search(word) for word in devices), stage.command
    assert sum(s.seconds for s in real.values()) <= gpu.ALL_SECONDS <= 480 - 10


def test_each_stage_writes_at_once_and_one_that_hangs_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What a stage has printed before its limit is kept, and the next stage runs."""
    row = json.dumps({"check": "layouts", "ok": True, "said": "all", "device": "stand-in"})
    hangs = f"import time; print({row!r}, flush=True); time.sleep(60)"
    ends = f"print({row!r})"
    listed = [
        Stage("paths", 2, [sys.executable, "-c", hangs], from_lines),
        Stage("cross-check", 20, [sys.executable, "-c", "raise SystemExit(9)"], from_lines),
        Stage("cheats", 20, [sys.executable, "-c", ends], lambda *_: {"checks": []}),
    ]
    monkeypatch.setattr(gpu, "stages", lambda *_: listed)
    assert main(["--rehearse", "--out", str(tmp_path)]) == 1
    files = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert all(name.startswith("rehearsal-") and REHEARSAL in text for name, text in files.items())
    paths, cross = (json.loads(files[f"rehearsal-{n}.json"]) for n in ("paths", "cross-check"))
    assert paths["cut_at_its_limit"]
    assert paths["found"] == [json.loads(row)]
    assert (cross["status"], cross["cut_at_its_limit"]) == (9, False)
    assert "cut at its limit" in capsys.readouterr().out


def finding(device: str, verdict: str) -> dict[str, Any]:
    """A finding as a document has it."""
    return {
        "backend": "torch.nn",
        "device": device,
        "clause": "layout.strides",
        "verdict": verdict,
        "message": "y",
        "cases": 3,
    }


def test_the_summary_shows_what_the_gpu_alone_does() -> None:
    """The same release's CPU is the control."""
    run = {
        "findings": [finding("cpu", "conforms"), finding("cuda:0", "deviates")],
        "targets": [{"backend": "torch.nn", "device": d, "status": "ready"} for d in ("cpu", "cuda:0")],
        "incidents": [],
    }
    done = [{"stage": "verify-torch", "status": 1, "cut_at_its_limit": False, "seconds": 9.0, "found": run}]
    text = summary(Places(), {"machine": {"gpu": "NVIDIA H200"}}, done)
    assert "layout.strides" in text
    assert "on cuda:0 alone" in text
    assert REHEARSAL not in text
