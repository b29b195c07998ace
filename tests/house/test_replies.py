"""No reply ends a run: what a worker sends may be anything, and costs its case alone."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_cases import case_of, layouts

import bnspec
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.registry import Entry
from bnspec.backends.harness.replies import BadReply, observation_of
from bnspec.backends.worker import wire
from bnspec.backends.worker.wire import PROTOCOL, Channel, Garbage, TimedOut
from bnspec.conformance.selftest.faults.frames import fuzz
from bnspec.model.call import INFERENCE
from bnspec.model.case import Step

#: In place of a Python: a worker that says hello, answers the first request by what the test wrote, and later ones by an error.
SCRIPTED = """
import os, signal, socket, sys, time
from bnspec.backends.worker.wire import PROTOCOL, Channel
raw = socket.socket(fileno=int(sys.argv[3]))
channel = Channel(raw)
channel.send({"hello": PROTOCOL, "bnspec": BNSPEC, "status": "ready", "reason": "", "conventions": {}, "versions": {}})
def step(status="ok", **more): return dict({"status": status, "message": "", "written": [], "overwritten": [], "aliases": []}, **more)
def observation(*steps, arrays={}, **more):
    return dict({"status": "ok", "message": "", "seconds": 0.0, "steps": list(steps), "arrays": arrays, "answers": number}, **more)
def sent(data):
    raw.setblocking(True); raw.sendall(data)
first = not os.path.exists(MARKER)
open(MARKER, "w").close()
while True:
    header, buffers = channel.receive()
    if header["do"] == "stop": break
    number = header["number"]
    if first:
        first = False
        REPLY
    else:
        channel.send(observation(step("error", message="as scripted"), status="error"))
"""

#: Replies that are none, as statements of the script.
REPLIES = {
    "another magic": "sent(b'HTTP/1.1 200 OK\\r\\n\\r\\n')",
    "no parts": "sent(b'BNW1' + bytes(4))",
    "a million parts": "sent(b'BNW1' + b'\\xff\\xff\\xff\\x7f')",
    "a part of an exabyte": "sent(b'BNW1\\x01\\0\\0\\0' + b'\\xff' * 7 + b'\\x0f')",
    "bad JSON": "sent(b'BNW1\\x01\\0\\0\\0' + (3).to_bytes(8, 'little') + b'{\"a')",
    "deep nesting": "sent(b'BNW1\\x01\\0\\0\\0' + (10**5).to_bytes(8, 'little') + b'[' * 10**5)",
    "a list": "sent(b'BNW1\\x01\\0\\0\\0' + (2).to_bytes(8, 'little') + b'[]')",
    "half a frame": "sent(b'BNW1\\x02\\0\\0\\0' + (2).to_bytes(8, 'little')); os._exit(0)",
    "no fields": "channel.send({'answers': number})",
    "an answer to another request": "channel.send(observation(step(), answers=number + 1))",
    "an answer to none": "channel.send(observation(step(), answers=None))",
    "no steps": "channel.send(observation())",
    "more steps": "channel.send(observation(step(), step()))",
    "an unknown status": "channel.send(observation(step('splendid')))",
    "a forged crash": "channel.send(observation(step('crashed'), status='crashed'))",
    "a forged failure": "channel.send({'failure': 'I say so', 'answers': number})",
    "a forged full disk": "channel.send({'failure': 'I say so', 'no_space': True, 'answers': number})",
    "a failure that is no text": "channel.send({'failure': {'a': [1]}, 'answers': number})",
    "an endless time": "channel.send(observation(step(), seconds=float('inf')))",
    "arrays that do not fit": "channel.send(observation(step(), arrays={'0/outputs/y': "
    "{'buffer': 0, 'dtype': 'float32', 'shape': [9], 'strides': [4], 'offset': 0}}), [bytes(32)])",
    "a view without end": "channel.send(observation(step(), arrays={'0/outputs/y': "
    "{'buffer': 0, 'dtype': 'float32', 'shape': [10**9], 'strides': [0], 'offset': 0}}), [bytes(4)])",
    "an array without a name": "channel.send(observation(step(), arrays={'0/outputs/a b': "
    "{'buffer': 0, 'dtype': 'float32', 'shape': [1], 'strides': [4], 'offset': 0}}), [bytes(4)])",
    "a later step overwritten": "channel.send(observation(step(overwritten=[[0, 'y']])))",
    "something overwritten that is none": "channel.send(observation(step(overwritten=[[-1, 'y']])))",
    "something written to that is none": "channel.send(observation(step(written=['a b'])))",
    "an array of no step": "channel.send(observation(step(), arrays={'7/outputs/y': "
    "{'buffer': 0, 'dtype': 'float32', 'shape': [1], 'strides': [4], 'offset': 0}}), [bytes(4)])",
    "an array of an unknown dtype": "channel.send(observation(step(), arrays={'0/outputs/y': "
    "{'buffer': 0, 'dtype': 'O', 'shape': [1], 'strides': [8], 'offset': 0}}), [bytes(8)])",
    "death by a real-time signal": "os.kill(os.getpid(), 37)",
    "a megabyte of frames": "sent(b'BNW1\\x01\\0\\0\\0' + (2).to_bytes(8, 'little') + b'{}' + bytes(10**6))",
}


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[[str], Worker]:
    """Start a worker whose first answer is this statement."""

    def start(reply: str, **limits: float) -> Worker:
        program, python = tmp_path / "scripted.py", tmp_path / "python"
        text = SCRIPTED.replace("BNSPEC", repr(bnspec.__version__)).replace("MARKER", repr(str(tmp_path / "mark")))
        program.write_text(text.replace("REPLY", reply))
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{program}" "$@"\n')
        python.chmod(0o755)
        return Worker(Entry("scripted", "no:matter"), "cpu", str(python), Limits(**{"case_seconds": 5.0, **limits}))

    return start


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_that_is_none_costs_its_case_alone(
    reply: str, scripted: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    """One incident, a new worker, the next case is answered."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    case = case_of(layouts()["contiguous"], Step(INFERENCE, ("x",)))
    with scripted(REPLIES[reply]) as worker:
        assert worker.hello.status == "ready", worker.hello
        first, second = worker.run(case), worker.run(case)
    assert (first.status, len(first.steps)) == ("crashed", 1), first
    assert first.message or first.steps[0].message
    assert (second.status, second.steps[0].message) == ("error", "as scripted")
    assert worker.starts == 2


def test_a_second_answer_is_not_taken_for_that_to_the_next_request(
    scripted: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    """Replies are numbered: the next case ends without an answer, and the one after it has its own."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    case = case_of(layouts()["contiguous"], Step(INFERENCE, ("x",)))
    twice = "[channel.send(observation(step('error', message='twice'), status='error')) for _ in '12']"
    with scripted(twice) as worker:
        messages = [worker.run(case).steps[0].message for _ in range(3)]
    assert messages == ["twice", "its reply cannot be read: it does not answer this request", "as scripted"]


HELLOS: dict[str, dict[str, Any]] = {
    "an unknown status": {"status": "splendid"},
    "no conventions": {"conventions": None},
    "unknown conventions": {"conventions": {"epsilons": 3}},
    "conventions that are none": {"conventions": {"ranks": "many"}},
    "no reason": {"reason": 7},
    "versions that are none": {"versions": [1]},
}


@pytest.mark.parametrize("hello", HELLOS)
def test_a_hello_that_is_none_is_a_target_that_did_not_open(hello: str, tmp_path: Path) -> None:
    """Said with its reason, and never a traceback."""
    said = {"hello": PROTOCOL, "bnspec": bnspec.__version__, "status": "ready", "reason": "", "conventions": {}}
    program, python = tmp_path / "other.py", tmp_path / "python"
    program.write_text(
        "import socket, sys\nfrom bnspec.backends.worker.wire import Channel\n"
        f"Channel(socket.socket(fileno=int(sys.argv[3]))).send({ {**said, **HELLOS[hello]}!r})\n"
    )
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    python.chmod(0o755)
    with Worker(Entry("other", "no:matter"), "cpu", str(python)) as worker:
        assert worker.hello.status == "broken"
        assert worker.hello.reason


def test_an_exception_whose_text_raises_is_the_steps_error(write_adapters: Callable[[str], Worker]) -> None:
    """A backend's __str__ is its code, too; what it raises on opening is said likewise."""
    source = """
        class Silent(Exception):
            def __str__(self): raise RuntimeError("no text")
        class Layer(NumpyLayer):
            def training(self, x): raise Silent
        class Example(Base):
            built = Layer
            def __init__(self, device):
                super().__init__(device)
                if OPENS: return
                raise Silent
        """
    worker = write_adapters(source.replace("OPENS", "True"))
    (step,) = worker.run(case_of(layouts()["contiguous"])).steps
    assert (step.status, worker.starts) == ("error", 1)
    assert "Silent: its text cannot be shown" in step.message
    worker = write_adapters(source.replace("OPENS", "False"))
    assert worker.hello.status == "broken"
    assert "Silent" in worker.hello.reason


@pytest.mark.parametrize("sizes", [(), (0,), (3, 0, 5), (60, 50, 200, 30, 99, 1), (100, 100, 0, 1)])
def test_parts_of_a_frame_arrive_one_by_one_or_together(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fits together, each part is the one that was sent."""
    monkeypatch.setattr(wire, "TOGETHER_BYTES", 100)
    here, there = (Channel(s) for s in socket.socketpair())
    parts = [bytes([i]) * size for i, size in enumerate(sizes)]
    here.send({"what": "x" * 70}, parts)
    assert there.receive(5.0) == ({"what": "x" * 70}, parts)
    here.close()
    there.close()


def test_a_frame_beyond_its_limit_is_not_read() -> None:
    """Nothing is allocated for it: one incident."""
    here, there = (Channel(s) for s in socket.socketpair())
    here.frame_bytes = 1000
    there.send({"a": 1}, [bytes(500)])
    assert here.receive(1.0)[0] == {"a": 1}
    there.send({"a": 1}, [bytes(1000)])
    with pytest.raises(Garbage, match="at most 1000 bytes"):
        here.receive(1.0)
    here.close()
    there.close()


def test_a_request_that_nobody_takes_times_out() -> None:
    """A worker that is stopped does not hold the run."""
    here, there = (Channel(s) for s in socket.socketpair())
    with pytest.raises(TimedOut):
        here.send({"a": 1}, [bytes(10**7)], seconds=0.05)
    here.close()
    there.close()


def test_frames_that_were_changed_at_random_are_read_or_refused() -> None:
    """No other exception, and no growth: some thousands here, a million by `make fuzz-frames`."""
    counted = fuzz(6000, seed=1)
    assert sum(counted.values()) == 6000
    assert counted["read"] > 100
    assert counted["garbage"] > 1000
    assert counted["bad reply"] > 500


def test_an_observation_is_read_only_as_it_was_sent() -> None:
    """The control of the fuzz: a whole reply is an observation."""
    with pytest.raises(BadReply):
        observation_of({}, [], (1,))
    data = {"status": "ok", "message": "\ud800", "steps": [], "arrays": {}, "seconds": 1}
    assert observation_of(data, [], (0,)).message == "?"
