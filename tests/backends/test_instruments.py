"""Instruments beyond the host's clock; those of CUDA run on a counting stand-in, without a GPU."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

from bnspec.backends.torch.instruments import TorchInstruments
from bnspec.backends.worker.memory_bandwidth import roofs
from bnspec.backends.worker.timed_loop import AuditedSample, TimedCall, block_size, samples_of
from bnspec.errors import Declined
from bnspec.model.instruments import Instruments, Mover
from tests.support.device_queue import FakeCuda, Queue


class FakeTensor:
    """A tensor that counts what is done with it."""

    def __init__(self, value: float = 0.0) -> None:
        self.value, self.zeroed = value, 0

    def clone(self) -> FakeTensor:
        """Another one."""
        return FakeTensor(self.value)

    def copy_(self, other: FakeTensor) -> None:
        """Take its value."""
        self.value = other.value

    def zero_(self) -> None:
        """Count."""
        self.zeroed += 1


@pytest.fixture
def cuda() -> tuple[TorchInstruments, FakeCuda]:
    """The instruments of a second device that is not there."""
    fake = FakeCuda(Queue(), index=1)
    made: list[FakeTensor] = []
    torch = types.SimpleNamespace(
        cuda=fake, int8="int8", empty=lambda *_, **__: made.append(FakeTensor()) or made[-1], made=made
    )
    return TorchInstruments(torch, types.SimpleNamespace(type="cuda", index=1)), fake


def test_a_gpu_flush_overwrites_twice_its_cache_in_one_buffer(cuda: Any) -> None:
    """The buffer is made once, and the flush is over when it returns."""
    instruments, fake = cuda
    instruments.flush()
    instruments.flush()
    assert fake.log == ["drain", "drain"]
    (buffer,) = instruments.torch.made
    assert buffer.zeroed == 2
    assert list(instruments.buffers) == [2 * 50 * 2**20]


def test_a_graph_is_recorded_once_and_fed_through_its_own_inputs(cuda: Any) -> None:
    """Replays see the values that were loaded last."""
    instruments, fake = cuda
    calls = []
    graph = instruments.graph(lambda x: calls.append(x.value) or x, [FakeTensor(1.0)])
    assert calls == [1.0] * 4  # three before recording, one recorded
    graph.load([FakeTensor(7.0)])
    assert graph.replay().value == 7.0
    assert fake.log[-2:] == ["capture", "replay"]
    with pytest.raises(Declined):
        instruments.graph(lambda chunks: chunks, [[FakeTensor()]])


def test_the_peak_of_a_gpu_is_what_its_allocator_gave_beyond_what_was_there(cuda: Any) -> None:
    """Earlier peaks do not count."""
    instruments, fake = cuda
    fake.peak = 10_000

    def call() -> None:
        fake.peak = fake.allocated + 64

    assert instruments.peak_bytes(call) == 64


def test_on_the_host_the_peak_is_at_least_what_the_call_returns() -> None:
    """8 MiB that were not there before."""
    peak = Instruments().peak_bytes(lambda: np.ones(2**23, np.uint8))
    assert peak is not None
    assert peak >= 2**23 - 2**16  # a few pages may have been there


def test_a_flush_writes_as_much_as_the_caches_hold() -> None:
    """And the size is one that the system tells."""
    instruments = Instruments()
    assert instruments.cache_bytes() > 0
    instruments.flush()
    assert instruments._evict.nbytes == instruments.cache_bytes()


def test_short_calls_are_joined_to_blocks_that_rotate_the_audited_inputs() -> None:
    """Long ones are not."""
    assert block_size(1e6, 100.0, 3) == 1
    for call_ns in (100.0, 1000.0, 16_000.0, 20_000.0):
        assert block_size(call_ns, 100.0, 3) % 3


def test_an_audited_sample_is_a_timed_result_of_the_first_inputs() -> None:
    """Whichever it is."""
    for seed in range(20):
        call, audited = TimedCall(lambda x: x, lambda _: None, [(0,), (1,), (2,)]), AuditedSample(seed)
        samples_of(call, 4, 0.0, 30, 30, audited)
        assert audited.result == 0
        assert audited.candidates == 10


def test_the_release_of_the_result_before_is_inside_the_sample() -> None:
    """As in a loop that assigns: the next result is there before the last one goes."""
    log: list[str] = []

    class Result:
        def __del__(self) -> None:
            log.append("released")

    def work(_: Any) -> Result:
        log.append("made")
        return Result()

    call = TimedCall(work, lambda _: log.append("waited"), [(0,)])
    call.once()
    call.once()
    assert log == ["made", "waited", "made", "released", "waited"]


class Device(Instruments):
    """Instruments of a device whose framework copies, or only claims to."""

    def __init__(self, honest: bool) -> None:
        self.honest = honest

    def memory_bytes(self) -> int:
        """Little, so that the curve is short."""
        return 2**20

    def mover(self, action: str, size_bytes: int) -> Mover:
        """Over the host's memory."""
        source, target = np.ones(size_bytes, np.uint8), np.zeros(size_bytes, np.uint8)
        move = (lambda: np.copyto(target, source)) if self.honest else (lambda: None)
        return Mover(move, lambda: bool((source == target).all()), lambda: None)


@pytest.mark.parametrize("honest", [True, False])
def test_the_copy_of_a_device_is_verified(honest: bool) -> None:
    """A roof is measured by copies that have copied."""
    adapter: Any = types.SimpleNamespace(instruments=lambda: Device(honest))
    answer = roofs(adapter, {"copies": [2**15], "seconds": 0.001})
    assert [c.same for c in answer.copies] == [honest]
    assert {c.threads for c in answer.curves} == {1}
    assert {max(c.sizes_bytes) for c in answer.curves} == {2**18}  # source and target leave half of the memory free
