"""Times of one kind are compared on a device, and probes are fair there: shown with a queue in simulated time."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

from bnspec.backends.harness.registry import select
from bnspec.backends.harness.targets import Target
from bnspec.backends.numpy.specification import NumpySpec
from bnspec.backends.torch.instruments import CudaEvents, TorchInstruments
from bnspec.backends.worker import probes, timed_call, timed_loop, timing
from bnspec.backends.worker.probes import _waits, confirmed
from bnspec.backends.worker.timed_call import Subject
from bnspec.benchmarks.timing.conditions import Conditions
from bnspec.benchmarks.timing.contender import contenders_of
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.errors import UsageError
from bnspec.model.case import Case
from tests.support.device_queue import RATE, FakeCuda, Queue, Queued

CALL_NS = 20_000.0


def workload(pass_name: str = "training_gradients") -> Case:
    """A small call."""
    return Workload("small", (32, 16), 1, "float32", pass_name).case()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    """Simulated time in all that times."""
    made = Queue()
    for module in (probes, timed_call, timed_loop, timing):
        monkeypatch.setattr(module, "time", made.time())
    return made


def objects(queue: Queue, adapter: Any, case: Case) -> str:
    """What the probe of waiting objects to."""
    header, buffers = case.header()
    live, _ = timing._last_layer(adapter, case, header["arrays"], buffers)
    subject = Subject(live, case, lambda factor: timing._scaled(header["arrays"], buffers, factor))
    inputs = subject.inputs(0.5)
    median_ns = float(np.median([subject.timed(inputs)[0] for _ in range(20)]))
    return confirmed(lambda: _waits(subject, inputs, median_ns))


def test_honest_rows_of_20_microseconds_are_never_objected_to(queue: Queue) -> None:
    """In 100 tries, each with other noise."""
    case = workload()
    found = []
    for seed in range(100):
        queue.__init__(seed)  # type: ignore[misc]
        found.append(objects(queue, Queued(NumpySpec(), queue, CALL_NS), case))
    assert found == [""] * 100


def test_a_wait_that_does_not_wait_is_caught(queue: Queue) -> None:
    """The work is in the queue after it."""
    message = objects(queue, Queued(NumpySpec(), queue, CALL_NS, waits=False), workload())
    assert "queue was busy" in message


def test_a_lazy_result_is_caught_on_a_device(queue: Queue) -> None:
    """The work is done when the result is read: the probe sees the time of the read."""

    class Lazy(Queued):
        def layer(self, *arguments: Any) -> Any:
            return types.SimpleNamespace(training=lambda x: x, state=lambda: ())

        def array(self, tensor: Any) -> np.ndarray:
            if tensor.memory.shape == (32, 16) and not getattr(tensor, "made_here", False):
                self.queue.launch(50 * CALL_NS)
            return super().array(tensor)

        def tensor(self, array: np.ndarray) -> Any:
            made = super().tensor(array)
            made.made_here = array.base is None  # copied by the probe for its control
            return made

    message = objects(queue, Lazy(NumpySpec(), queue, CALL_NS), workload("training"))
    assert "reading the results" in message


def record(queue: Queue, case: Case, cuda: FakeCuda | None = None, **options: Any) -> Any:
    """What is timed of the case behind the queue."""
    place = types.SimpleNamespace(type="cuda", index=0)
    events = None if cuda is None else CudaEvents(TorchInstruments(types.SimpleNamespace(cuda=cuda), place))
    adapter = Queued(NumpySpec(), queue, 200_000.0, events=events)
    answer, _ = timing.time_case(adapter, *case.header(), {"seconds": 0.01, "probes": False, **options})
    assert answer["timing"], answer["observation"]["message"]
    return answer["timing"]


def test_three_quantities_have_three_names(queue: Queue) -> None:
    """The host's clock includes dispatch and wait; the device's own clock does not; a pipeline hides dispatch behind work."""
    found = record(queue, workload(), FakeCuda(queue))
    host, device, pipelined = np.median(found["samples_ns"]), found["device_ns"], found["pipelined_ns"]
    assert device == pytest.approx(200_000 * RATE, rel=1e-3)
    assert host > device + 4_000
    assert 200_000 <= pipelined < host
    assert found["device_resolution_ns"] == 500.0
    assert found["clock_resolution_ns"] > 0


def test_a_sample_counts_the_calls_that_were_made(queue: Queue) -> None:
    """Short calls are timed in blocks on a device, too; with a flush each call is a sample of its own."""
    queue_ns = record(queue, workload("inference"))
    assert queue_ns["calls_per_sample"] >= 1
    cold = record(queue, workload("inference"), cache="cold")
    assert cold["calls_per_sample"] == 1
    assert np.median(cold["samples_ns"]) == pytest.approx(np.median(queue_ns["samples_ns"]), rel=0.2)  # no flush in it


def test_the_device_clock_says_nothing_where_the_device_waited_for_the_host(queue: Queue) -> None:
    """The hold is lengthened; a call that itself waits for the device defeats every hold."""
    cuda = FakeCuda(queue, index=1)
    place = types.SimpleNamespace(type="cuda", index=1)
    instruments = TorchInstruments(types.SimpleNamespace(cuda=cuda), place)
    events = instruments.events()
    assert events is not None

    def slow() -> None:
        queue.now += 3e6  # longer than the first hold
        queue.launch(1_000.0)

    assert events.elapsed_ns(slow) == pytest.approx(1_000 * RATE, abs=600)
    assert instruments.hold_cycles > 1_000_000

    def waiting() -> None:
        queue.launch(1_000.0)
        queue.wait()

    assert events.elapsed_ns(waiting) is None


@pytest.mark.parametrize("conditions", [Conditions(allocation="fresh"), Conditions(threads=1)])
def test_conditions_of_the_host_are_refused_on_a_device(conditions: Conditions) -> None:
    """They would be a label without a meaning."""
    (entry,) = select(["numpy"])
    assert contenders_of([Target(entry, "cpu")], [conditions])
    with pytest.raises(UsageError, match="does nothing on cuda:1"):
        contenders_of([Target(entry, "cuda:1")], [conditions])


def test_kernels_are_counted_once_and_annotations_not_at_all() -> None:
    """An operator's entry repeats the time of its kernels."""

    def entry(key: str, device: str, ns: float, annotation: bool = False) -> Any:
        return types.SimpleNamespace(
            key=key, device_type=f"DeviceType.{device}", self_device_time_total=ns, is_user_annotation=annotation
        )

    events = [
        entry("aten::native_batch_norm", "CPU", 30.0),
        entry("bn_fw_tr_kernel", "CUDA", 30.0),
        entry("bn_finalize", "CUDA", 10.0),
        entry("ProfilerStep#1", "CUDA", 40.0, annotation=True),
    ]

    class Profile:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def key_averages(self) -> Any:
            return events

    profiler = types.SimpleNamespace(
        ProfilerActivity=types.SimpleNamespace(CPU=0, CUDA=1), profile=lambda activities: Profile()
    )
    torch = types.SimpleNamespace(profiler=profiler, cuda=None)
    found = TorchInstruments(torch, types.SimpleNamespace(type="cuda")).kernels(lambda: None)
    assert found == {"bn_fw_tr_kernel": 0.75, "bn_finalize": 0.25}


def test_the_memory_of_a_jax_call_is_what_its_program_was_planned_with() -> None:
    """Results and temporaries of the one program that the call runs; absent where it runs several."""
    jax = pytest.importorskip("jax")
    from bnspec.backends.jax.instruments import JaxInstruments

    instruments = JaxInstruments(jax, jax.devices("cpu")[0])
    instruments.host = False
    x = jax.numpy.zeros(4096)
    double, more = jax.jit(lambda x: x * 2), jax.jit(lambda x: x + 1)
    assert instruments.peak_bytes(lambda: double(x)) == x.nbytes
    assert instruments.peak_bytes(lambda: more(double(x))) is None
