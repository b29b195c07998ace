"""The process boundary: exact transport, and every failure of a worker as an observation."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import bnspec
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.worker.wire import PROTOCOL, Channel, Closed, TimedOut
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.contract import LayerConfig
from bnspec.errors import UsageError
from bnspec.model.buffers import overlap, pack, unpack
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step

#: A correct layer; each test's layer differs from it in one respect.
ADAPTERS = """
import os, signal, time
import numpy as np
from bnspec.backends.numpy.specification import NumpyLayer, NumpySpec
from bnspec.contract import Adapter, Declined, DeviceAbsent, Gradients

class Base(NumpySpec):
    built = NumpyLayer
    def layer(self, *arguments):
        return self.built(*arguments)
"""


def layouts() -> dict[str, np.ndarray]:
    """Arrays of shape (4, 3) with the same values in every layout that NumPy can describe; and two special ones."""
    values = np.array([[1.5, -2.0, 0.25], [3.0, 0.5, -1.0], [0.0, -0.0, 7.0], [2.5, 6.0, -4.5]], np.float32)
    room = np.zeros(32, np.float32)
    offset = room[3:15].reshape(4, 3)
    offset[:] = values
    spaced = np.zeros((8, 9), np.float32)[::2, 1::3]
    spaced[:] = values
    return {
        "contiguous": values,
        "fortran": np.asfortranarray(values),
        "transposed": np.ascontiguousarray(values.T).T,
        "reversed": np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1],
        "offset": offset,
        "spaced": spaced,
        "expanded": np.broadcast_to(values[:1], (4, 3)),
        "windowed": np.lib.stride_tricks.as_strided(room[1:], (4, 3), (8, 4)),
        "bfloat16": values.astype(ml_dtypes.bfloat16),
        "empty": values[:0],
    }


def case_of(x: np.ndarray, *steps: Step, **more: np.ndarray) -> Case:
    """A case of three channels on x, and on more arrays where given."""
    name = x.dtype.name
    arrays = {"x": x, "gamma": np.array([1.0, 0.5, -2.0]), "beta": np.array([0.0, 1.0, 0.25])}
    arrays |= {"running_mean": np.zeros(3), "running_var": np.ones(3)}
    parameters = {n: a.astype(np.float32) for n, a in arrays.items() if n != "x"}
    config = LayerConfig(2, 1, 3, 2.0**-10, 0.75, name, "float32")
    return Case("batch_norm", config, {"x": x, **parameters, **more}, steps or (Step(TRAINING, ("x",)),))


@pytest.fixture
def write_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Worker]]:
    """Start a worker on the class ``Example`` of a module with this source; stopped when the test ends."""
    workers: list[Worker] = []
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def start(source: str) -> Worker:
        (tmp_path / "written_adapter.py").write_text(ADAPTERS + textwrap.dedent(source))
        workers.append(Worker(Entry("written", "written_adapter:Example"), "cpu"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


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


def test_a_killed_worker_is_a_crash_and_the_next_case_gets_a_new_one(write_adapters: Callable[[str], Worker]) -> None:
    """A dead process costs its case, and no other."""
    worker = write_adapters("class Example(Base): pass")
    case = case_of(layouts()["contiguous"])
    assert worker.run(case).status == "ok"
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    crashed = worker.run(case)
    assert (crashed.status, [s.status for s in crashed.steps]) == ("crashed", ["crashed"])
    assert "SIGKILL" in crashed.message
    assert worker.run(case).status == "ok"
    assert worker.starts == 2


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
    assert "out of luck" in observed.message
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


# --- adapters that are wrong ------------------------------------------------------------------------------------------

MALFORMED = {
    "no adapter at all": ("class Example: pass", "not a subclass of bnspec.contract.Adapter"),
    "no class of that name": ("", "has no Example"),
    "a method missing": ("class Example(Adapter): pass", "lacks the method(s) layer"),
    "a layer without methods": ("class Example(Base):\n    built = lambda self, *a: object()", "lacks the method(s)"),
    "a layer of other arguments": (
        "class Example(Base):\n    def layer(self, config): return None",
        "Example.layer cannot build a layer",
    ),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_adapter_raises_what_why_and_fix(fault: str, write_adapters: Callable[[str], Worker]) -> None:
    """The author of an adapter reads what is wrong with it, before any case runs."""
    source, expected = MALFORMED[fault]
    with pytest.raises(UsageError) as refused:
        write_adapters(source)
    assert expected in refused.value.what
    assert refused.value.fix
    assert "Fix: " in str(refused.value)


def test_a_missing_module_raises_with_the_fix() -> None:
    """A mistyped module is the caller's error and says where it was looked for."""
    with pytest.raises(UsageError) as refused:
        Worker(Entry("absent", "no_such_module_of_anyone:Adapter"), "cpu")
    assert "no_such_module_of_anyone" in refused.value.what
    assert "PYTHONPATH" in refused.value.fix


#: Runs in place of a Python: says one hello on the socket that it is given, and ends.
OTHER_WORKER = """
import socket, sys
from bnspec.backends.worker.wire import PROTOCOL, Channel
Channel(socket.socket(fileno=int(sys.argv[3]))).send({hello})
"""
READY = {"status": "ready", "reason": "", "conventions": {}, "versions": {}}
OTHERS = {
    "another protocol": ({"hello": PROTOCOL + 1, "bnspec": bnspec.__version__}, f"protocol {PROTOCOL + 1}"),
    "another version": ({"hello": PROTOCOL, "bnspec": "0.0.9"}, "bnspec 0.0.9"),
    "no version": ({"hello": PROTOCOL}, "does not say"),
    "no protocol": ({"bnspec": bnspec.__version__}, "does not say"),
}


def other_python(folder: Path, hello: dict[str, object]) -> str:
    """An executable that answers as a worker with this hello, whatever it is asked to run."""
    program, python = folder / "other_worker.py", folder / "python"
    program.write_text(OTHER_WORKER.replace("{hello}", repr({**READY, **hello})))
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    python.chmod(0o755)
    return str(python)


@pytest.mark.parametrize("difference", OTHERS)
def test_a_worker_of_another_bnspec_is_refused_with_what_why_and_fix(difference: str, tmp_path: Path) -> None:
    """Its answers would be read wrongly, or taken for those of this version's adapters."""
    hello, expected = OTHERS[difference]
    python = other_python(tmp_path, hello)
    with pytest.raises(UsageError) as refused:
        Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu", python)
    assert expected in refused.value.what
    assert python in refused.value.what
    assert bnspec.__version__ in refused.value.why
    assert "PYTHONPATH" in refused.value.fix


def test_a_worker_of_the_same_bnspec_is_accepted(tmp_path: Path) -> None:
    """The control: the same executable with this version's hello opens."""
    python = other_python(tmp_path, {"hello": PROTOCOL, "bnspec": bnspec.__version__})
    with Worker(Entry("numpy", "bnspec.backends.numpy.specification:NumpySpec"), "cpu", python) as worker:
        assert worker.hello.status == "ready"


OPENINGS = {
    "broken": "raise RuntimeError('the licence has expired')",
    "unavailable": "import a_framework_that_is_not_installed",
    "absent": "raise DeviceAbsent('no accelerator in this machine')",
    "crashed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("status", OPENINGS)
def test_an_adapter_that_does_not_open_says_why(status: str, write_adapters: Callable[[str], Worker]) -> None:
    """That a target cannot be opened is an answer with a reason, and no exception."""
    worker = write_adapters(f"class Example(Base):\n    def __init__(self, device): {OPENINGS[status]}")
    assert worker.hello.status == status
    assert worker.hello.reason
    assert worker.hello.conventions is None


#: Adapters that decline what they do not offer, each with a case that it runs; its other cases are declined.
PARTIAL = {
    "a scaler alone": (
        """
        from bnspec.conformance.selftest.reference.scaler import PlainAdapter
        class Example(PlainAdapter):
            def layer(self, *a): raise Declined("there is a scaler alone")
        """,
        "input_norm",
    ),
    "a fixed epsilon": (
        """
        class Example(Base):
            def layer(self, config, *a):
                if config.epsilon != 1e-5: raise Declined("epsilon is 1e-5")
                return NumpyLayer(config, *a)
        """,
        "fixed",
    ),
    "no affine parameters": (
        """
        class Example(Base):
            def layer(self, config, *a):
                if config.affine: raise Declined("there is no affine step")
                return NumpyLayer(config, *a)
        """,
        "plain",
    ),
    "forward alone": (
        """
        class Layer(NumpyLayer):
            def training_gradients(self, *a): raise Declined("there is no backward pass")
            inference_gradients = training_gradients
        class Example(Base):
            built = Layer
        """,
        "layer",
    ),
}


def partial_cases() -> dict[str, Case]:
    """A case of each form that a partial adapter offers."""
    x = layouts()["contiguous"]
    layer = case_of(x, Step(TRAINING, ("x",)))
    plain = {n: a for n, a in layer.arrays.items() if n not in ("gamma", "beta")}
    return {
        "layer": layer,
        "fixed": layer.with_(config=dataclasses.replace(layer.config, epsilon=1e-5)),
        "plain": layer.with_(config=dataclasses.replace(layer.config, affine=False), arrays=plain),
        "input_norm": next(c for c in catalogue() if c.subject == "input_norm" and c.config.dtype == "float32"),
    }


@pytest.mark.parametrize("offered", PARTIAL)
def test_an_adapter_that_declines_some_forms_opens_and_runs_the_others(
    offered: str, write_adapters: Callable[[str], Worker]
) -> None:
    """As the README says: what is not offered raises Declined, and the rest is judged."""
    source, form = PARTIAL[offered]
    worker, cases = write_adapters(source), partial_cases()
    assert worker.hello.status == "ready"
    assert worker.run(cases[form]).status == "ok"
    backward = case_of(layouts()["contiguous"], Step(TRAINING_GRADIENTS, ("x", "dy")), dy=layouts()["contiguous"])
    other = backward if offered == "forward alone" else cases["layer"]
    assert worker.run(other).status == "declined"


def test_a_layer_without_methods_is_malformed_where_some_forms_are_declined(
    write_adapters: Callable[[str], Worker],
) -> None:
    """The first layer that is built is checked."""
    with pytest.raises(UsageError, match="lacks the method"):
        write_adapters("""
            class Example(Base):
                def layer(self, config, *a):
                    if config.affine: raise Declined("there is no affine step")
                    return object()
            """)


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
