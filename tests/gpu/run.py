"""The most evidence that one GPU gives in eight minutes: ``make gpu``.

    python -m tests.gpu.run [--out DIR] [--rehearse]

Stages, each under a limit of its own, and all under one: what the machine is; the paths of a device (``paths``); verify PyTorch on
the CPU and on the GPU, whose difference is the evidence; verify JAX and Flax on the GPU; bench, alone on the GPU; four cells
beside other tools (``cross_check``); the cheats. Each stage writes its file at once, the summary is written anew after each.

``--rehearse``: the same on the CPU with small workloads and stand-ins. Every file and row of it says that it is a rehearsal, and
every device in it is a CPU's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnspec.model.nvml import gpus
from bnspec.reports.run.machine import describe_machine
from bnspec.reports.run.store import read_run
from bnspec.reports.summary.document import run_document

CHECKOUT = Path(__file__).resolve().parents[2]
#: Seconds for all stages together, leaving some to write and to end.
ALL_SECONDS = 455.0
#: Seconds between asking a stage to end and ending it.
GRACE_SECONDS = 12.0
#: Seconds for writing the scripts of a run's deviations.
REPRO_SECONDS = 15.0
#: Copy bandwidth of the memory as its makers state it, in bytes per second, by a part of the GPU's name.
#: Source: the data sheets of the H200, H100, A100 and L40S.
STATED = {"H200": 4.8e12, "H100 80GB HBM3": 3.35e12, "H100 PCIe": 2.0e12, "A100-SXM4-80GB": 2.039e12, "L40S": 0.864e12}
TORCH = ("torch.nn", "torch.functional", "bnspec.backends.torch.compile:TorchDecomposed")
JAX = ("jax.numpy", "jax.nn", "flax.nnx")
TIMED = ("torch.nn", "jax.nn")
REHEARSAL = "REHEARSAL ON A CPU: no number here is a GPU's"


@dataclass(frozen=True)
class Places:
    """The devices of a run: PyTorch's, its control's, JAX's, and where both are timed; and whether it is a rehearsal."""

    torch: str = "cuda:0"
    control: str = "cpu"
    jax: str = "gpu:0"
    timed: str = "gpu:0"
    rehearsal: bool = False


@dataclass(frozen=True)
class Stage:
    """A part of the run: a call of ours under a limit. ``read``: what of its output, or of its run directory, is kept."""

    name: str
    seconds: float
    command: Sequence[str]
    read: Callable[[str, Path], Any]
    environment: Mapping[str, str] = field(default_factory=dict)


def from_lines(output: str, _: Path) -> Any:
    """The JSON lines that it has printed so far."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def from_run(_: str, folder: Path) -> Any:
    """The run directory as one document, whole or cut short."""
    return run_document([read_run(folder)])


def from_verify(_: str, folder: Path) -> Any:
    """The same, with the scripts that reproduce its deviations."""
    scripts = folder / "repros"
    command = [sys.executable, "-m", "bnspec", "repro", str(folder), "--out", str(scripts)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])}
    subprocess.run(command, capture_output=True, timeout=REPRO_SECONDS, env=environment, check=False)
    return {**from_run("", folder), "scripts": {p.name: p.read_text("utf-8") for p in sorted(scripts.glob("*.py"))}}


def from_document(output: str, _: Path) -> Any:
    """The JSON document that it has printed."""
    return json.loads(output)


def stages(at: Places, scratch: Path) -> list[Stage]:
    """All stages in their order."""
    python, jobs = sys.executable, str(min(8, os.cpu_count() or 1))
    cli = [python, "-m", "bnspec"]

    def options(backends: Sequence[str], devices: Sequence[str]) -> list[str]:
        named = [("--backend", b) for b in backends] + [("--device", d) for d in dict.fromkeys(devices)]
        return [word for pair in named for word in pair]

    def verify(backends: Sequence[str], devices: Sequence[str], name: str) -> list[str]:
        asked = ["--effort", "device", "--jobs", jobs, "--out", str(scratch / name), "--json"]
        clauses = ["--clause", "purity", "--clause", "training", "--clause", "layout"] if at.rehearsal else []
        return [*cli, "verify", *options(backends, devices), *clauses, *asked]

    suite = ["--suite", "short", "--seconds", "0.02"] if at.rehearsal else ["--suite", "device", "--seconds", "0.2"]
    one = ["--pass", "training_gradients", "--rounds", "3", "--out", str(scratch / "bench"), "--json"]
    bench = [*cli, "bench", *options(TIMED, [at.timed]), *suite, *one]
    paths = [python, "-m", "tests.gpu.paths", "stand-in" if at.rehearsal else at.torch]
    cross = [python, "-m", "tests.gpu.cross_check", "torch.nn", at.torch, *(["small"] if at.rehearsal else [])]
    cheats = [*cli, "cheats", *options(["torch.nn"], [at.torch]), "--seconds", "0.05", "--json"]
    second = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"} if at.rehearsal else {}
    return [
        Stage("paths", 40, paths, from_lines),
        Stage("verify-torch", 90, verify(TORCH, [at.control, at.torch], "verify-torch"), from_verify),
        Stage("verify-jax", 90, verify(JAX, [at.jax], "verify-jax"), from_verify, second),
        Stage("bench", 130, bench, from_run),
        Stage("cross-check", 55, cross, from_lines),
        Stage("cheats", 45, cheats, from_document),
    ]


def run_stage(stage: Stage, seconds: float, scratch: Path) -> dict[str, Any]:
    """Run a stage; at its limit it is asked to end, then ended. Returns how it ended and what is kept of it."""
    begun, printed = time.monotonic(), scratch / f"{stage.name}.out"
    errors = scratch / f"{stage.name}.err"
    environment = {**os.environ, **stage.environment, "PYTHONPATH": os.pathsep.join(
        p for p in (str(CHECKOUT), os.environ.get("PYTHONPATH", "")) if p
    )}  # fmt: skip
    with printed.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen(
            stage.command, stdout=out, stderr=err, env=environment, cwd=scratch, start_new_session=True
        )
        cut = False
        try:
            process.wait(max(seconds, 1.0))
        except subprocess.TimeoutExpired:
            cut = True
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    found: dict[str, Any] = {
        "stage": stage.name, "status": process.returncode, "cut_at_its_limit": cut,
        "seconds": round(time.monotonic() - begun, 1),
    }  # fmt: skip
    try:
        found["found"] = stage.read(printed.read_text("utf-8", "replace"), scratch / stage.name)
    except Exception as error:  # noqa: BLE001  # what a stage has left may be anything
        found["found"], found["unreadable"] = None, f"{type(error).__name__}: {error}"[:300]
    if process.returncode not in (0, 1) or found["found"] is None:
        found["said"] = errors.read_text("utf-8", "replace")[-1500:]
    return found


def summary(at: Places, facts: Mapping[str, Any], done: Sequence[Mapping[str, Any]]) -> str:
    """What a person reads in a minute."""
    results = {d["stage"]: d.get("found") for d in done}
    lines = [REHEARSAL, ""] if at.rehearsal else []
    lines += ["GPU: " + (facts["machine"].get("gpu") or ("none" if at.rehearsal else "unknown to NVML")), "", "stages"]
    for d in done:
        ended = "cut at its limit" if d["cut_at_its_limit"] else f"status {d['status']}"
        lines.append(f"  {d['stage']:<14} {d['seconds']:>6} s  {ended}  {d.get('unreadable', '')}".rstrip())
    lines += ["", *_paths(results.get("paths") or ())]
    lines += ["", *_verified(results.get("verify-torch"), results.get("verify-jax"), at)]
    lines += ["", *_timed(results.get("bench"), facts)]
    lines += ["", *_crossed(results.get("cross-check") or ())]
    lines += ["", *_cheated(results.get("cheats"))]
    return "\n".join(lines) + "\n"


def _paths(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["paths of the device", *(f"  {'ok   ' if r['ok'] else 'WRONG'} {r['check']:<8} {r['said']}" for r in rows)]


def _verified(torch: Any, jax: Any, at: Places) -> list[str]:
    lines = ["clauses that deviate"]
    failing = ("deviates", "crashed", "timeout")
    if torch is not None and not at.rehearsal:
        by = {(f["backend"], f["device"], f["clause"]): f for f in torch["findings"]}
        for (backend, device, clause), f in by.items():
            control = by.get((backend, at.control, clause))
            if device == at.control or control is None:
                continue
            pair = [g["verdict"] in failing for g in (f, control)]
            if any(pair):
                where = "on both" if all(pair) else f"on {device} alone" if pair[0] else f"on {at.control} alone"
                shown = f if pair[0] else control
                lines.append(f"  {backend:<24} {clause:<40} {where}{_known(shown)}: {shown['message'][:90]}")
    for document in (torch if at.rehearsal else None, jax):
        broken = [f for f in (document or {}).get("findings", ()) if f["verdict"] in failing]
        lines += [f"  {f['backend']}@{f['device']:<8} {f['clause']:<40} {f['message'][:90]}{_known(f)}" for f in broken]
    for name, document in (("torch", torch), ("jax", jax)):
        if document is None:
            lines.append(f"  {name}: no run")
            continue
        counts = {t["backend"] + "@" + t["device"]: t["status"] for t in document["targets"]}
        judged = sum(1 for f in document["findings"] if f["cases"])
        lines.append(
            f"  {name}: {judged} findings with cases; targets {counts}; {len(document['incidents'])} without answer"
        )
    return lines


def _known(found: Mapping[str, Any]) -> str:
    return " (known)" if found.get("known") else ""


def _timed(document: Any, facts: Mapping[str, Any]) -> list[str]:
    lines = ["times in microseconds: host, synchronised | the device's clock | pipelined"]
    for cell in (document or {}).get("timings", ()):
        shown = [
            None if cell[n] is None else f"{cell[n] / 1e3:.1f}" for n in ("median_ns", "device_ns", "pipelined_ns")
        ]
        name = f"{cell['contender']} {cell['workload_id']}"
        lines.append(f"  {name:<74} {' | '.join(s or '-' for s in shown):<32} {cell['verdict']}")
    copies = [r for r in (document or {}).get("roofs", ()) if r["action"] == "copy"]
    if copies:
        fastest = max(max(r["bytes_per_second"][-3:]) for r in copies)
        name = facts["machine"].get("gpu", "")
        stated = next((speed for part, speed in STATED.items() if part in name), None)
        beside = f"; stated by its maker: {stated / 1e12:.2f} TB/s, {100 * fastest / stated:.0f} %" if stated else ""
        lines.append(f"  roof, copy of the three largest sizes: {fastest / 1e12:.3f} TB/s{beside}")
    return lines


def _crossed(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = ("host_us", "device_us", "pipelined_us", "torch.utils.benchmark_us", "do_bench_us", "kernels_us")
    lines = ["beside other tools, in microseconds: " + ", ".join(names)]
    for row in rows:
        lines.append(f"  {row['workload']:<56} " + ", ".join(str(row.get(n, "-")) for n in names))
        lines += [f"    {error}" for error in row.get("errors", ())]
    return lines


def _cheated(document: Any) -> list[str]:
    checks = (document or {}).get("checks", ())
    wrong = [c for c in checks if not c["right"]]
    lines = [f"cheats: {len(checks) - len(wrong)} of {len(checks)} cells as they should be"]
    return lines + [f"  WRONG {c['name']} {c['workload']}: {c['verdict']} {c['rejections']}" for c in wrong]


def why_not() -> str:
    """Why there is no GPU for PyTorch here; empty if there is one."""
    try:
        import torch
    except ImportError as error:
        return f"PyTorch cannot be imported: {error}"
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} sees no GPU (torch.cuda.is_available() is False)"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 where every stage ended by itself with status 0 or 1, 1 where one did not, 2 without a GPU."""
    parser = argparse.ArgumentParser(description="The most evidence that one GPU gives in eight minutes.")
    parser.add_argument("--out", type=Path, default=Path("runs") / "gpu", help="folder of the files, at most eight")
    parser.add_argument("--rehearse", action="store_true", help="the same on the CPU, marked as a rehearsal")
    parser.add_argument("--seconds", type=float, default=ALL_SECONDS, help="for all stages together")
    asked = parser.parse_args(arguments)
    if not asked.rehearse and (reason := why_not()):
        sys.stderr.write(
            f"make: there is no GPU here.\n  Why:  {reason}.\n"
            "  Fix:  run where one is; make gpu REHEARSE=1 tries every stage on the CPU.\n"
        )
        return 2
    at = Places("cpu", "cpu", "cpu:1", "cpu", rehearsal=True) if asked.rehearse else Places()
    prefix = "rehearsal-" if at.rehearsal else ""
    asked.out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    label = {"rehearsal": REHEARSAL} if at.rehearsal else {}
    facts = {**label, "machine": describe_machine(), "gpus": gpus(), "python": sys.version.split()[0]}
    done: list[dict[str, Any]] = []

    def write(name: str, text: str) -> None:
        (asked.out / f"{prefix}{name}").write_text(text, "utf-8")

    write("facts.json", json.dumps(facts, indent=1) + "\n")
    scratch = Path(tempfile.mkdtemp(prefix="bnspec-gpu-"))
    try:
        for stage in stages(at, scratch):
            left = asked.seconds - (time.monotonic() - begun)
            found = run_stage(stage, min(stage.seconds, left), scratch)
            done.append({**label, **found})
            write(f"{stage.name}.json", json.dumps(done[-1], indent=1) + "\n")
            write("summary.txt", summary(at, facts, done))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(summary(at, facts, done))
    return int(any(d["cut_at_its_limit"] or d["status"] not in (0, 1) for d in done))


if __name__ == "__main__":
    sys.exit(main())
