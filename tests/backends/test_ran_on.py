"""What a run ran on: told by the maker's library and the framework, recorded, and shown; unknown is said as unknown."""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnspec.backends.harness.replies import BadReply, hello_of
from bnspec.backends.worker.timing import LOAD_AGAIN_SECONDS, LOAD_SECONDS, Session
from bnspec.benchmarks.run.probe_check import ON_DEVICE
from bnspec.benchmarks.workloads.suites import workloads
from bnspec.model import nvml
from bnspec.model.conventions import Conventions
from bnspec.model.instruments import Instruments
from bnspec.model.nvml import Nvml
from bnspec.reports.run.codec import decode, encode
from bnspec.reports.run.machine import describe_machine
from bnspec.reports.run.targets import opened_target


def library(**changes: Any) -> Any:
    """NVML of one GPU, as ctypes calls it."""

    def writes(*values: int) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            for pointer, value in zip(arguments[-len(values) :], values, strict=True):
                pointer._obj.value = value
            return 0

        return call

    def text(value: bytes) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            arguments[-2].value = value
            return 0

        return call

    def memory(_: Any, pointer: Any) -> int:
        pointer._obj.total = 141 * 2**30
        return 0

    def clock(_: Any, kind: int, pointer: Any) -> int:
        pointer._obj.value = {nvml.SM_CLOCK: 1755, nvml.MEMORY_CLOCK: 3201}[kind]
        return 0

    functions = {
        "nvmlInit_v2": lambda: 0,
        "nvmlDeviceGetCount_v2": writes(1),
        "nvmlDeviceGetHandleByIndex_v2": writes(7),
        "nvmlDeviceGetHandleByUUID": lambda name, pointer: 0 if name == b"GPU-1-2" else 6,
        "nvmlDeviceGetName": text(b"NVIDIA H200"),
        "nvmlSystemGetDriverVersion": text(b"580.65.06"),
        "nvmlDeviceGetCudaComputeCapability": writes(9, 0),
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetMaxClockInfo": writes(1980),
        "nvmlDeviceGetClockInfo": clock,
        "nvmlDeviceGetTemperature": writes(41),
        "nvmlDeviceGetPowerUsage": writes(350_500),
        "nvmlDeviceGetCurrentClocksThrottleReasons": writes(0x1 | 0x4),
    }
    return types.SimpleNamespace(**{**functions, **changes})


def test_the_makers_library_tells_what_a_gpu_is_and_how_it_is() -> None:
    """Names, numbers with units, and why clocks are held down; idleness does not hold them down."""
    found = Nvml(library())
    handle = found.handle()
    assert found.facts(handle) == {
        "gpu": "NVIDIA H200", "driver": "580.65.06", "compute capability": "9.0", "memory": "141 GiB",
        "highest SM clock": "1980 MHz",
    }  # fmt: skip
    assert found.state(handle) == {
        "sm_mhz": 1755, "memory_mhz": 3201, "celsius": 41, "watts": 350.5, "throttled": "software power cap",
    }  # fmt: skip


def test_what_the_library_does_not_answer_is_left_out() -> None:
    """An unsupported question is no zero."""
    state = Nvml(library(nvmlDeviceGetPowerUsage=lambda *_: 3)).state(ctypes.c_void_p(7))
    assert "watts" not in state
    assert state["celsius"] == 41


def test_one_of_several_gpus_is_known_by_its_uuid_alone() -> None:
    """Numbers of the library and of a framework are in different orders."""

    def several(pointer: Any) -> int:
        pointer._obj.value = 8
        return 0

    found = Nvml(library(nvmlDeviceGetCount_v2=several))
    assert found.handle() is None
    assert found.handle("1-2") is not None
    assert found.handle("GPU-1-2") is not None
    assert found.handle("3-4") is None


def test_the_machine_of_a_run_names_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the manifest; without a driver nothing is said."""
    monkeypatch.setattr(nvml, "open_nvml", lambda: None)
    assert "gpu" not in describe_machine()
    monkeypatch.setattr(nvml, "open_nvml", lambda: Nvml(library()))
    assert describe_machine()["gpu"].startswith("gpu NVIDIA H200; driver 580.65.06")


def hello(**more: Any) -> dict[str, Any]:
    """A worker's first frame."""
    return {"status": "ready", "reason": "", "conventions": Conventions().to_json(), "versions": {}, **more}


def test_what_a_target_ran_on_is_recorded() -> None:
    """As it was told, when it opened; text and nothing else."""
    said, conventions = hello_of(hello(ran_on={"gpu": "NVIDIA H200", "cuDNN": "91002"}))
    opened: Any = types.SimpleNamespace(
        status="ready",
        reason="",
        versions={},
        conventions=conventions,
        details={"ran_on": said.ran_on},
        environment=None,
    )
    record = opened_target("torch.nn", "cuda:0", opened)
    assert decode(encode(record)) == record
    assert record.ran_on == {"gpu": "NVIDIA H200", "cuDNN": "91002"}
    with pytest.raises(BadReply):
        hello_of(hello(ran_on={"gpu": 1}))


def test_pytorch_tells_its_modes() -> None:
    """TF32, determinism, cuDNN: all that decides which kernels run."""
    pytest.importorskip("torch")
    from bnspec.backends.torch.nn import TorchNN

    adapter = TorchNN()
    assert adapter.ran_on() == {}
    there = types.SimpleNamespace(name="NVIDIA H200", major=9, minor=0, L2_cache_size=1)
    cuda = types.SimpleNamespace(get_device_properties=lambda _: there)
    real = adapter.torch
    adapter.torch = types.SimpleNamespace(
        cuda=cuda,
        backends=real.backends,
        version=types.SimpleNamespace(hip=None),
        are_deterministic_algorithms_enabled=lambda: False,
    )
    adapter.kind = "cuda"
    found = adapter.ran_on()
    assert found["gpu"] == "NVIDIA H200"
    assert found["compute capability"] == "9.0"
    assert found["tf32 products"] == "off"
    assert {"cuDNN", "tf32 convolutions", "deterministic", "cudnn.benchmark"} <= set(found)


def test_a_device_is_loaded_before_it_is_timed() -> None:
    """Half a second once in a process, so that its clocks are up, and a moment before each workload; the host is not."""
    instruments = Instruments()
    session: Any = types.SimpleNamespace(instruments=instruments)
    assert Session.load_seconds(session) == 0.0
    instruments.queued = True
    assert Session.load_seconds(session) == LOAD_SECONDS >= 0.5
    assert Session.load_seconds(session) == LOAD_AGAIN_SECONDS


def test_the_suite_of_devices_has_their_sizes() -> None:
    """Large layers in single and half precision, first and last; what is small says that its launch is timed."""
    listed = workloads("device")
    assert {(w.shape, w.dtype) for w in listed} == {
        ((128, 64, 56, 56), "float32"), ((128, 64, 56, 56), "bfloat16"),
        ((128, 56, 56, 64), "float32"), ((128, 56, 56, 64), "bfloat16"),
        ((2**20, 64), "float32"), ((32, 16), "float32"),
    }  # fmt: skip
    assert all("launch-bound" in w.name for w in listed if w.elements < 2**16)


def test_the_cheat_for_devices_is_honest_but_for_its_wait() -> None:
    """Its results are right: only the probe of waiting can tell."""
    pytest.importorskip("torch")
    from bnspec.backends.torch.nn import TorchNN
    from bnspec.benchmarks.cheats import on_device

    cheat = getattr(on_device, ON_DEVICE)
    assert issubclass(cheat, TorchNN)
    assert set(vars(cheat)) & {"synchronize", "layer", "array"} == {"synchronize"}


def test_a_library_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever is wrong with it."""
    monkeypatch.setattr(nvml, "LIBRARY", str(tmp_path / "no.so"))
    assert nvml.open_nvml() is None
    with pytest.raises(OSError, match="does not start"):
        Nvml(library(nvmlInit_v2=lambda: 9))
