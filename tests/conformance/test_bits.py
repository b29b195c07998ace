"""Bits: equal results have equal digests, wherever they lie in memory; unequal ones do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ml_dtypes import bfloat16

from bnspec.conformance.run.bits import bits_of
from bnspec.conformance.run.merging import merge_runs
from bnspec.conformance.run.shard import Shard
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.model.observation import Observation, StepResult

ODD_NAN = np.array([0x7FC00001, 0xFFC00123], np.uint32).view(np.float32)


def digest(array: np.ndarray) -> str:
    """Of y in one step."""
    return bits_of(Observation("ok", steps=(StepResult("ok", outputs={"y": array}),))).outputs["y"]


def test_layout_and_the_payload_of_a_nan_are_no_bits() -> None:
    """Both may differ between two calls that gave the same numbers."""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert digest(x) == digest(np.asfortranarray(x)) == digest(np.repeat(x, 2, 0)[::2])
    assert digest(ODD_NAN) == digest(np.full(2, np.nan, np.float32))
    assert digest(ODD_NAN.astype(bfloat16)) == digest(np.full(2, np.nan, bfloat16))


@pytest.mark.parametrize(
    "other",
    [
        np.array([0.0, 1.0 + 2.0**-23], np.float32),
        np.array([-0.0, 1.0], np.float32),
        np.array([0.0, 1.0], np.float64),
        np.array([[0.0], [1.0]], np.float32),
    ],
    ids=["one unit", "sign of zero", "dtype", "shape"],
)
def test_every_other_difference_is_seen(other: np.ndarray) -> None:
    """The last bit, the sign of zero, the dtype and the shape."""
    assert digest(np.array([0.0, 1.0], np.float32)) != digest(other)


def test_steps_that_gave_nothing_are_said_with_the_class_of_the_error() -> None:
    """A refusal that becomes another exception is a change, too."""
    steps = (StepResult("error", "ValueError: no such shape"), StepResult("declined", "no masks"))
    assert bits_of(Observation("ok", steps=steps)).endings == "0 error ValueError, 1 declined"


@pytest.mark.slow
def test_verify_records_the_bits_and_shards_have_those_of_the_whole(tmp_path: Path) -> None:
    """The cases of every seed, whichever process ran them."""
    request = VerifyRequest(["numpy"], ["cpu"], ["epsilon"], "quick", jobs=1, compilation_cache=False)
    whole, _ = verify(dataclasses.replace(request, out=tmp_path / "whole"), "verify", quiet=True)
    other, _ = verify(dataclasses.replace(request, seed=2, out=tmp_path / "other"), "verify", quiet=True)
    parts = [tmp_path / str(i) for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        verify(dataclasses.replace(request, shard=Shard(i, 2), out=part), "verify", quiet=True)
    merged, _ = merge_runs(parts, tmp_path / "merged", "merge")
    (bits,) = whole.bits
    assert len(bits.cases) > 20
    assert merged.bits == other.bits == (bits,)
