"""The paths of a device, each tried once on the device itself: prints one JSON line for each.

python -m tests.gpu.paths cuda:0        on a GPU
python -m tests.gpu.paths stand-in      the same checks on the CPU, with stand-ins for what only a GPU has
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.torch.instruments import CudaEvents, TorchInstruments
from bnspec.backends.torch.nn import TorchNN
from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.judge.judge import judge
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS
from bnspec.conformance.selftest.reference.carried_adapter import CarriedAdapter
from bnspec.conformance.selftest.reference.full_layer import FullAdapter
from bnspec.model.buffers import pack, unpack
from bnspec.model.roots import ALIGNMENT
from bnspec.oracle.oracle import Oracle
from tests.support.device_queue import FakeCuda, Queue

STAND_IN = "stand-in"
MIB = 2**20


def rebuilt(array: np.ndarray) -> bool:
    """Whether PyTorch has such strides and such an address; other arrays are packed."""
    address = array.__array_interface__["data"][0]
    return all(s >= 0 and s % array.itemsize == 0 for s in (address, *array.strides))


def layouts(adapter: TorchNN) -> str:
    """Strides, alignment, sharing and values of every layout of the catalogue, by the device's own pointers."""
    views = shared = 0
    seen: set[Any] = set()
    for case in catalogue():
        specs, buffers = pack(case.arrays)
        form = tuple((n, s["dtype"], *s["strides"], s["offset"], s["buffer"]) for n, s in specs.items())
        if form in seen:
            continue
        seen.add(form)
        arrays = unpack(specs, buffers)
        tensors = {n: adapter.tensor(a) for n, a in arrays.items()}
        for name, array in arrays.items():
            assert adapter.array(tensors[name]).tobytes() == array.tobytes(), f"{name} has other values there"
            if rebuilt(array) and array.size:
                assert tensors[name].stride() == tuple(s // array.itemsize for s in array.strides), f"strides of {name}"
                here = array.__array_interface__["data"][0]
                # NumPy, whose memory is the stand-in's, aligns to 16
                aligned = 16 if adapter.kind == STAND_IN else ALIGNMENT
                assert (tensors[name].data_ptr() - here) % aligned == 0, f"alignment of {name}"
                views += not array.flags.c_contiguous
        for a, b in itertools.combinations([n for n, a in arrays.items() if rebuilt(a) and a.size], 2):
            if specs[a]["buffer"] == specs[b]["buffer"]:
                apart = tensors[a].data_ptr() - tensors[b].data_ptr()
                here = [arrays[n].__array_interface__["data"][0] for n in (a, b)]
                assert apart == here[0] - here[1], f"{a} and {b} share memory here, and not there"
                shared += 1
    assert views > 20
    assert shared > 5
    return f"{len(seen)} layouts, {views} views, {shared} pairs that share memory"


def gate(adapter: TorchNN, instruments: TorchInstruments, queue: Queue | None) -> str:
    """The device's clock is read behind a held queue; a call that waits for the device has no such time."""
    events = CudaEvents(instruments)
    x = adapter.tensor(np.ones(2**22, np.float32))
    work = x.sum if queue is None else lambda: queue.launch(50_000.0)
    held = [events.elapsed_ns(work) for _ in range(5)]
    assert all(ns is not None and ns > 1000 for ns in held), f"not held: {held}"
    waits = (lambda: x.sum().item()) if queue is None else lambda: (queue.launch(50_000.0), queue.wait())
    assert events.elapsed_ns(waits) is None, "a call that waits was timed as if it did not"
    return f"elapsed {held} ns; a call that waits has none"


def graph(adapter: TorchNN, instruments: TorchInstruments) -> str:
    """A replayed graph has the bits of an eager call, and moves the state as one does."""
    case = batch_norm_case(Plan(Form((64, 32, 8, 8), 1), short=True))

    def layer() -> Any:
        arrays = unpack(*pack(case.arrays))
        names = ("gamma", "beta", "running_mean", "running_var")
        return adapter.layer(case.config, *(adapter.tensor(arrays[n]) for n in names))

    x, other = adapter.tensor(case.arrays["x"]), adapter.tensor(np.zeros_like(case.arrays["x"]))
    eager, recorded = layer(), layer()
    start = [t.clone() for t in recorded.state()]
    replayed = instruments.graph(recorded.training, [other])
    for tensor, value in zip(recorded.state(), start, strict=True):
        tensor.copy_(value)  # recording has moved it
    replayed.load([x])
    y, wanted = replayed.replay(), eager.training(x)
    adapter.synchronize((y,))
    assert adapter.array(y).tobytes() == adapter.array(wanted).tobytes(), "other bits"
    for a, b in zip(recorded.state(), eager.state(), strict=True):
        assert adapter.array(a).tobytes() == adapter.array(b).tobytes(), "another state"
    return "equal bits, equal state"


def peak(adapter: TorchNN, instruments: TorchInstruments) -> str:
    """The peak of a call that allocates 64 MiB."""
    bytes_ = instruments.peak_bytes(
        lambda: adapter.torch.ones(64 * MIB, dtype=adapter.torch.int8, device=adapter.place)
    )
    assert bytes_ is not None, "not counted"
    assert 64 * MIB <= bytes_ < 68 * MIB, f"{bytes_} bytes"
    return f"{bytes_ / MIB:.1f} MiB of 64"


def flush(adapter: TorchNN, instruments: TorchInstruments) -> str:
    """Reading 8 MiB takes longer after a flush."""
    x = adapter.torch.ones(2 * MIB, dtype=adapter.torch.float32, device=adapter.place)

    def read(before: Callable[[], Any]) -> int:
        times = []
        for _ in range(15):
            before()
            instruments.drain()
            begun = time.perf_counter_ns()
            x.sum()
            instruments.drain()
            times.append(time.perf_counter_ns() - begun)
        return sorted(times)[7]

    hot, cold = read(x.sum), read(instruments.flush)
    assert cold > hot, f"cold {cold} ns, hot {hot} ns"
    return f"cold {cold} ns, hot {hot} ns"


def mutants(adapter: TorchNN) -> str:
    """Mutants that write where they must not, in this memory: each is killed, and the layer without a defect is not accused."""
    accused, cases = {}, [batch_norm_case(Plan(Form(shape, 1))) for shape in ((6, 3), (4, 3, 5))]
    for name in ("writes_into_cotangent", "writes_into_gamma", "returns_beta_itself", "result_memory_reused", ""):
        entry = next((m for m in MUTANTS if m.name == name), None)
        carried = CarriedAdapter(FullAdapter() if entry is None else entry.adapter_class()(), adapter)
        found = [judge(c, run_case(carried, *c.header()), carried.conventions, Oracle(c)).items() for c in cases]
        broken = {c for judged in found for c, j in judged if j is not None and not j.holds}
        wrong = broken if entry is None else not broken.intersection(entry.killed_by)
        assert not wrong, f"{name or 'the correct layer'}: {sorted(broken)}"
        accused[name] = len(broken)
    return f"{len(accused) - 1} killed, the correct layer not accused"


class Asserting(TorchNN):
    """On a batch of 7 rows an index out of range is read on the device, whose assertion ends its context."""

    def layer(self, *arguments: Any) -> Any:
        """The layer, whose training fails there."""
        made = super().layer(*arguments)
        training = made.training_gradients

        def failing(x: Any, dy: Any) -> Any:
            if x.shape[0] == 7:
                self.torch.zeros(1, device=self.place)[self.torch.tensor([10_000_000], device=self.place)].sum().item()
            return training(x, dy)

        made.training_gradients = failing
        return made


def restart(device: str) -> str:
    """After an assertion on the device its process is replaced, and the next case is answered."""
    there = device == STAND_IN
    adapter = "tests.support.broken_device:Breaking" if there else "tests.gpu.paths:Asserting"
    checkout = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "BROKEN_DEVICE": str(Path(folder) / "processes"),
            "PYTHONPATH": os.pathsep.join([checkout, os.environ.get("PYTHONPATH", "")]),
        }
        with Worker(Entry("asserting", adapter), "away:0" if there else device, environment=environment) as worker:
            assert worker.hello.status == "ready", worker.hello.reason
            lost = worker.run(batch_norm_case(Plan(Form((7, 3), 1), short=True)))
            assert lost.status == "crashed", f"{lost.status}: {[s.message for s in lost.steps]}"
            assert worker.run(batch_norm_case(Plan(Form((4, 3), 1), short=True))).status == "ok"
            assert worker.starts == 2
    return lost.message[:160]


def checks(device: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """Every check of this device, by name."""
    queue = None
    if device == STAND_IN:
        adapter, queue = TorchNN("cpu"), Queue()
        adapter.kind = STAND_IN  # its tensors take a device's path
        adapter.synchronize = lambda result: None  # type: ignore[method-assign]
        plain = adapter.instruments()
        clock = TorchInstruments(
            types.SimpleNamespace(cuda=FakeCuda(queue)), types.SimpleNamespace(type="cuda", index=0)
        )
        plain.graph = _Eager  # type: ignore[method-assign,assignment]
    else:
        adapter = TorchNN(device)
        plain = clock = adapter.instruments()
    yield "layouts", lambda: layouts(adapter)
    yield "gate", lambda: gate(adapter, clock, queue)
    yield "graph", lambda: graph(adapter, plain)
    yield "peak", lambda: peak(adapter, plain)
    yield "flush", lambda: flush(adapter, plain)
    yield "mutants", lambda: mutants(adapter)
    yield "restart", lambda: restart(device)


class _Eager:
    """In the place of a graph: the call itself, made again."""

    def __init__(self, function: Callable[..., Any], inputs: Any) -> None:
        self.function, self.inputs = function, [t.clone() for t in inputs]
        function(*self.inputs)

    def load(self, inputs: Any) -> None:
        """Copy."""
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)

    def replay(self) -> Any:
        """Call."""
        return self.function(*self.inputs)


def main(device: str) -> int:
    """Print the outcome of each check; 1 if any fails."""
    failed = 0
    for name, check in checks(device):
        begun = time.perf_counter()
        try:
            outcome = {"check": name, "ok": True, "said": check()}
        except Exception as error:  # noqa: BLE001  # whatever it is, the next check is made
            outcome = {"check": name, "ok": False, "said": f"{type(error).__name__}: {error}"[:500]}
        failed += not outcome["ok"]
        outcome.update(device=device, seconds=round(time.perf_counter() - begun, 2))
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
