"""What NVIDIA's management library says of a GPU: what it is, and its clocks, temperature, power and throttling now.

The library comes with the driver. Without it, or without such a GPU, nothing is said.

Source: https://docs.nvidia.com/deploy/nvml-api/ (nvmlDeviceQueries, nvmlClocksThrottleReasons).

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

LIBRARY = "libnvidia-ml.so.1"
#: Kinds of clocks and of temperature sensors, as the library numbers them.
SM_CLOCK, MEMORY_CLOCK, GPU_SENSOR = 1, 2, 0
TEXT_BYTES = 96
#: Bits of the reasons for clocks below the highest; idleness is none that slows a measurement.
THROTTLE = {
    0x2: "application clocks", 0x4: "software power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip

State = Dict[str, Union[float, str]]


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Nvml:
    """The library, opened. Every question that it cannot answer is left out of the answer.

    Args:
        library: its functions, which return 0 where they succeed. Raises OSError: it does not start.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        if library.nvmlInit_v2() != 0:
            raise OSError("NVML does not start")

    def count(self) -> int:
        """How many GPUs the driver knows."""
        return int(self._number(ctypes.c_uint, self._library.nvmlDeviceGetCount_v2) or 0)

    def handle(self, uuid: str = "") -> Optional[Any]:
        """The GPU of this UUID; without one the only GPU. None: which it is, is not known."""
        handle = ctypes.c_void_p()
        if uuid:
            name = (uuid if uuid.startswith(("GPU-", "MIG-")) else "GPU-" + uuid).encode()
            done = self._library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle))
        elif self.count() == 1:
            done = self._library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle))
        else:
            return None
        return handle if done == 0 else None

    def facts(self, handle: Any) -> Dict[str, str]:
        """Name, driver, compute capability, memory and highest clock of a GPU."""
        ask, text = self._library, ctypes.create_string_buffer(TEXT_BYTES)
        found: Dict[str, str] = {}
        if ask.nvmlDeviceGetName(handle, text, TEXT_BYTES) == 0:
            found["gpu"] = text.value.decode("utf-8", "replace")
        if ask.nvmlSystemGetDriverVersion(text, TEXT_BYTES) == 0:
            found["driver"] = text.value.decode("utf-8", "replace")
        major, minor, memory = ctypes.c_int(), ctypes.c_int(), _Memory()
        if ask.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor)) == 0:
            found["compute capability"] = "%d.%d" % (major.value, minor.value)
        if ask.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
            found["memory"] = "%.0f GiB" % (memory.total / 2**30)
        highest = self._number(ctypes.c_uint, lambda n: ask.nvmlDeviceGetMaxClockInfo(handle, SM_CLOCK, n))
        if highest is not None:
            found["highest SM clock"] = "%d MHz" % highest
        return found

    def state(self, handle: Any) -> State:
        """Clocks in MHz, temperature in degrees Celsius, power in W, and why clocks are held down, now."""
        ask = self._library
        found: State = {}
        numbers: Dict[str, Tuple[Callable[[Any], int], float]] = {
            "sm_mhz": (lambda n: ask.nvmlDeviceGetClockInfo(handle, SM_CLOCK, n), 1.0),
            "memory_mhz": (lambda n: ask.nvmlDeviceGetClockInfo(handle, MEMORY_CLOCK, n), 1.0),
            "celsius": (lambda n: ask.nvmlDeviceGetTemperature(handle, GPU_SENSOR, n), 1.0),
            "watts": (lambda n: ask.nvmlDeviceGetPowerUsage(handle, n), 1e-3),
        }
        for name, (call, scale) in numbers.items():
            number = self._number(ctypes.c_uint, call)
            if number is not None:
                found[name] = number * scale
        reasons = self._number(ctypes.c_ulonglong, lambda n: ask.nvmlDeviceGetCurrentClocksThrottleReasons(handle, n))
        if reasons is not None:
            found["throttled"] = ", ".join(word for bit, word in THROTTLE.items() if reasons & bit)
        return found

    def _number(self, kind: Any, call: Callable[[Any], int]) -> Optional[int]:
        """What the call writes; None where it fails."""
        number = kind()
        return int(number.value) if call(ctypes.byref(number)) == 0 else None


def open_nvml() -> Optional[Nvml]:
    """The library of this machine; None where there is none."""
    try:
        return Nvml(ctypes.CDLL(LIBRARY))
    except OSError:
        return None


def gpus() -> List[Dict[str, str]]:
    """The facts of the GPUs that the driver knows, if it is one or none; of several only their number is said."""
    nvml = open_nvml()
    if nvml is None or nvml.count() == 0:
        return []
    handle = nvml.handle()
    return [nvml.facts(handle)] if handle is not None else [{"gpus": str(nvml.count())}]
