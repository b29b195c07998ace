"""The process boundary: exact transport, and every failure of a worker as an observation."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from small_cases import case_of, layouts

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.worker.wire import Channel, Closed, TimedOut
from bnspec.model.buffers import overlap, pack, unpack
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Step


@pytest.fixture(scope="module")
def numpy_worker() -> Iterator[Worker]:
    """A worker of the backend ``numpy``, shared by the tests that leave it alive."""
    with Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu") as worker:
        yield worker


# --- the wire ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    """Two ends of the protocol."""
    ends = [Channel(s) for s in socket.socketpair()]
    yield ends[0], ends[1]
    for end in ends:
        end.close()


@pytest.mark.parametrize("layout", layouts())
def test_an_array_crosses_the_wire_with_its_memory_layout(layout: str, channels: tuple[Channel, Channel]) -> None:
    """Dtype, shape, strides and every bit arrive; the array is writable whatever it was before."""
    here, there = channels
    sent = layouts()[layout]
    specs, buffers = pack({"a": sent})
    here.send({"arrays": specs}, buffers)
    header, data = there.receive(10.0)
    came = unpack(header["arrays"], data)["a"]
    assert (came.dtype, came.shape, came.tobytes()) == (sent.dtype, sent.shape, sent.tobytes())
    assert came.strides == sent.strides
    assert came.flags.writeable


def test_arrays_that_share_memory_share_it_on_the_other_side() -> None:
    """Aliases are preserved byte for byte, and no new ones appear."""
    room = np.arange(24, dtype=np.float32)
    sent = {"x": room[:12].reshape(4, 3), "dy": room[6:18].reshape(4, 3), "gamma": room[21:24], "beta": np.ones(3)}
    came = unpack(*pack(sent))
    begin = {n: a.__array_interface__["data"][0] for n, a in came.items()}
    assert begin["dy"] - begin["x"] == 6 * room.itemsize
    for first, second in itertools.combinations(sent, 2):
        assert overlap(came[first], came[second]) == overlap(sent[first], sent[second]), (first, second)
    came["x"][3, 2] = -1.0
    assert came["dy"][1, 2] == -1.0


def test_only_the_bytes_that_are_reached_travel() -> None:
    """A slice of a large array does not drag the large array along."""
    _, buffers = pack({"a": np.zeros(1_000_000, np.float32)[10:20]})
    assert [len(b) for b in buffers] == [40]


def test_a_silent_channel_times_out_and_a_closed_one_says_so(channels: tuple[Channel, Channel]) -> None:
    """Waiting ends by itself; a dead peer is distinguished from a slow one."""
    here, there = channels
    with pytest.raises(TimedOut):
        here.receive(0.01)
    there.close()
    with pytest.raises(Closed):
        here.receive(10.0)


# --- layouts reach the layer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", layouts())
def test_every_layout_gives_the_values_of_the_packed_one(layout: str, numpy_worker: Worker) -> None:
    """Inference is elementwise: strides change no bit of it."""
    x = layouts()[layout]
    inference = Step(INFERENCE, ("x",))
    observed = [numpy_worker.run(case_of(a, inference)) for a in (x, np.array(x, order="C", copy=True))]
    assert [s.status for s in observed] == ["ok", "ok"], observed
    strided, packed = (s.steps[0].outputs["y"] for s in observed)
    assert strided.shape == x.shape
    assert strided.tobytes() == packed.tobytes()


def test_the_layer_sees_strides_and_shared_memory(write_adapters: Callable[[str], Worker]) -> None:
    """The arrays in the adapter's process have the strides and aliases of the case."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                return np.array(x.strides)
            def inference_gradients(self, x, dy):
                apart = [a.__array_interface__["data"][0] for a in (x, dy)]
                return Gradients(np.array(apart[1] - apart[0]), dy, None, None)
        class Example(Base):
            built = Layer
        """)
    for layout, x in layouts().items():
        if x.dtype == np.float32 and x.size:
            (step,) = worker.run(case_of(x)).steps
            assert tuple(step.outputs["y"]) == x.strides, layout
    room = np.arange(24, dtype=np.float32)
    shared = case_of(room[:12].reshape(4, 3), Step(INFERENCE_GRADIENTS, ("x", "dy")), dy=room[9:21].reshape(4, 3))
    (step,) = worker.run(shared).steps
    assert int(step.outputs["y"]) == 9 * room.itemsize


def test_a_layer_persists_through_a_sequence_and_is_rebuilt_when_fresh(numpy_worker: Worker) -> None:
    """The second call starts from the state after the first; a fresh step starts from the case's own."""
    once, again = Step(TRAINING, ("x",)), Step(TRAINING, ("x",), fresh=True)
    observed = numpy_worker.run(case_of(layouts()["contiguous"], once, once, again))
    first, second, fresh = (s.after["running_mean"].tobytes() for s in observed.steps)
    assert second != first
    assert fresh == first
    assert observed.steps[1].before["running_mean"].tobytes() == first


# --- how it can end ---------------------------------------------------------------------------------------------------


def test_a_worker_killed_from_outside_says_nothing_of_its_backend(write_adapters: Callable[[str], Worker]) -> None:
    """Its case is run again in a new process, once."""
    worker = write_adapters("class Example(Base): pass")
    case = case_of(layouts()["contiguous"])
    assert worker.run(case).status == "ok"
    for number in (signal.SIGKILL, signal.SIGTERM):
        assert worker.pid is not None
        os.kill(worker.pid, number)
        assert worker.run(case).status == "ok"
    assert worker.starts == 3


def test_a_worker_killed_while_it_opens_is_started_again(
    write_adapters: Callable[[str], Worker], tmp_path: Path
) -> None:
    """Once: one that is killed each time has crashed."""
    opens = """
        class Example(Base):
            def __init__(self, device="cpu"):
                super().__init__(device)
                mark = %r
                if not (mark and os.path.exists(mark)):
                    open(mark or os.devnull, "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
        """
    once = write_adapters(opens % str(tmp_path / "mark"))
    assert (once.hello.status, once.starts) == ("ready", 2)
    always = write_adapters(opens % "")
    assert (always.hello.status, always.starts) == ("crashed", 2)
    assert "SIGKILL" in always.hello.reason


def test_a_case_that_kills_its_worker_twice_is_a_crash_and_the_next_one_gets_a_new_one(
    write_adapters: Callable[[str], Worker],
) -> None:
    """A process that runs out of memory is killed from outside, too: it dies again."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                os.kill(os.getpid(), signal.SIGKILL)
        class Example(Base):
            built = Layer
        """)
    crashed = worker.run(case_of(layouts()["contiguous"]))
    assert (crashed.status, [s.status for s in crashed.steps]) == ("crashed", ["crashed"])
    assert "SIGKILL" in crashed.message
    assert worker.starts == 2
    assert worker.run(case_of(layouts()["contiguous"], Step(INFERENCE, ("x",)))).status == "ok"


def test_a_layer_that_kills_its_process_is_a_crash_with_its_last_words(write_adapters: Callable[[str], Worker]) -> None:
    """The signal and the last line on standard error are kept: they are all there is to go by."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                os.write(2, b"out of luck\\\\n")
                os.kill(os.getpid(), signal.SIGSEGV)
        class Example(Base):
            built = Layer
        """)
    observed = worker.run(case_of(layouts()["contiguous"]))
    assert observed.status == "crashed"
    assert "SIGSEGV" in observed.message
    assert "training, written_adapter.py" in observed.message
    assert observed.message.endswith("it said: out of luck\\n")
    assert worker.starts == 1
    assert worker.run(case_of(layouts()["contiguous"], Step(INFERENCE, ("x",)))).status == "ok"


def test_a_hanging_layer_is_a_timeout_and_the_next_case_gets_a_new_worker(
    write_adapters: Callable[[str], Worker],
) -> None:
    """Silence ends after the seconds that were granted."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                time.sleep(600)
        class Example(Base):
            built = Layer
        """)
    assert worker.run(case_of(layouts()["contiguous"]), seconds=1).status == "timeout"
    assert worker.run(case_of(layouts()["contiguous"], Step(INFERENCE, ("x",)))).status == "ok"


@pytest.mark.parametrize(
    "result", ["'seven'", "None", "np.array([object()])", "np.array(['a'])", "np.array([1], 'i2')"]
)
def test_a_result_that_is_no_array_is_the_steps_error(result: str, write_adapters: Callable[[str], Worker]) -> None:
    """What cannot be judged is the backend's error, and never the harness's."""
    worker = write_adapters(f"""
        class Layer(NumpyLayer):
            def training(self, x):
                return {result}
        class Example(Base):
            built = Layer
        """)
    observed = worker.run(case_of(layouts()["contiguous"], Step(TRAINING, ("x",)), Step(INFERENCE, ("x",))))
    assert [s.status for s in observed.steps] == ["error", "ok"]
    assert observed.steps[0].message


RAISING = {
    "state": "def state(self): raise RuntimeError('the buffer was donated')",
    "training": "def training(self, x): raise RuntimeError('the buffer was donated')",
}


@pytest.mark.parametrize("method", RAISING)
def test_a_layer_that_raises_in_any_method_errs_in_its_step(
    method: str, write_adapters: Callable[[str], Worker]
) -> None:
    """Reading the state, or a result, is the backend's work too."""
    worker = write_adapters(f"""
        class Layer(NumpyLayer):
            {RAISING[method]}
        class Example(Base):
            built = Layer
        """)
    (step,) = worker.run(case_of(layouts()["contiguous"])).steps
    assert step.status == "error"
    assert "the buffer was donated" in step.message


# --- purity -----------------------------------------------------------------------------------------------------------


def test_an_adapter_that_writes_into_x_is_found_out(write_adapters: Callable[[str], Worker]) -> None:
    """Law 3 of the contract is observed bitwise where the arrays live."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                y = super().training(x)
                x[0, 0] += 1
                return y
        class Example(Base):
            built = Layer
        """)
    (step,) = worker.run(case_of(layouts()["contiguous"])).steps
    assert (step.status, step.written, step.aliases) == ("ok", ("x",), ())


def test_an_adapter_that_returns_x_itself_is_found_out(write_adapters: Callable[[str], Worker]) -> None:
    """A result that shares memory with an argument changes when the argument does."""
    worker = write_adapters("""
        class Layer(NumpyLayer):
            def training(self, x):
                return x
        class Example(Base):
            built = Layer
        """)
    (step,) = worker.run(case_of(layouts()["contiguous"])).steps
    assert (step.status, step.written, step.aliases) == ("ok", (), (("y", "x"),))


def test_a_clean_layer_is_not_accused(numpy_worker: Worker) -> None:
    """The control: a layer that keeps the laws is reported clean in every call."""
    calls = [Step(TRAINING, ("x",)), Step(INFERENCE, ("x",))]
    calls += [Step(call, call.inputs) for call in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS)]
    observed = numpy_worker.run(case_of(layouts()["contiguous"], *calls, dy=layouts()["reversed"]))
    assert [(s.status, s.written, s.aliases) for s in observed.steps] == [("ok", (), ())] * 4
