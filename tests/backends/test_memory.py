"""Memory reaches a device as it is, and purity is observed there: shown without a device."""

from __future__ import annotations

import gc
import itertools
import types
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from bnspec.backends.worker.execution import run_case
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS, CatalogueEntry
from bnspec.conformance.selftest.matrix.matrix import fingerprint
from bnspec.conformance.selftest.reference.full_layer import FullAdapter, FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter, PlainScaler
from bnspec.model.buffers import extent, pack, unpack
from bnspec.model.case import Case
from bnspec.model.roots import ALIGNMENT, Roots
from bnspec.oracle.oracle import Oracle
from tests.support.away import Away


def distinct_layouts() -> list[Case]:
    """A case of the catalogue for each layout of its arrays."""
    found: dict[Any, Case] = {}
    for case in catalogue():
        specs, _ = pack(case.arrays)
        form = tuple((n, s["dtype"], tuple(s["strides"]), s["offset"], s["buffer"]) for n, s in specs.items())
        found.setdefault(form, case)
    return list(found.values())


def rebuilt(array: np.ndarray) -> bool:
    """Whether PyTorch has such strides and such an address; other arrays are packed."""
    address = array.__array_interface__["data"][0]
    return all(s >= 0 and s % array.itemsize == 0 for s in (address, *array.strides))


@pytest.mark.slow
def test_every_layout_of_the_catalogue_is_rebuilt_on_a_gpu() -> None:
    """Strides, offsets, and which arrays share a storage are those of the case: on fake tensors of cuda:0."""
    torch = pytest.importorskip("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode

    from bnspec.backends.torch.nn import TorchNN

    adapter = TorchNN.__new__(TorchNN)
    adapter.torch, adapter.place, adapter.kind = torch, torch.device("cuda:0"), "cuda"
    adapter.roots = Roots(adapter.brought)
    views = shared = 0
    with FakeTensorMode(allow_non_fake_inputs=True):
        for case in distinct_layouts():
            specs, buffers = pack(case.arrays)
            arrays = unpack(specs, buffers)
            tensors = {n: adapter.tensor(a) for n, a in arrays.items()}
            for n, array in arrays.items():
                tensor, size = tensors[n], array.itemsize
                assert str(tensor.device) == "cuda:0"
                assert tuple(tensor.shape) == array.shape
                if not rebuilt(array):
                    continue
                assert tensor.stride() == tuple(s // size for s in array.strides)
                views += not array.flags.c_contiguous
                if array.size:  # the alignment of the first element, which kernels choose by
                    address = array.__array_interface__["data"][0]
                    assert tensor.storage_offset() * size % ALIGNMENT == address % ALIGNMENT
            storages = {n: t.untyped_storage()._cdata for n, t in tensors.items() if rebuilt(arrays[n])}
            for (a, ours), (b, theirs) in itertools.combinations(storages.items(), 2):
                if specs[a]["buffer"] == specs[b]["buffer"]:
                    assert ours == theirs
                    shared += 1
    assert views > 20
    assert shared > 5


def test_a_write_into_one_view_is_no_write_into_its_neighbour() -> None:
    """Autograd's version counters are of each tensor, as they are where arrays came from NumPy."""
    torch = pytest.importorskip("torch")
    from bnspec.backends.torch.nn import TorchNN

    adapter = TorchNN()
    adapter.kind = "meanwhile"  # not the CPU's shortcut
    block = np.arange(8, dtype=np.float32)
    x, state = adapter.tensor(block[:4]), adapter.tensor(block[4:])
    assert x.data_ptr() + 16 == state.data_ptr()
    leaf = x.requires_grad_()
    y = (leaf * leaf).sum()
    state.add_(1.0)
    (dx,) = torch.autograd.grad(y, leaf)
    assert dx.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert adapter.extent(x)[1] == adapter.extent(state)[0]


def test_a_block_is_moved_once_and_forgotten_with_its_array() -> None:
    """Views of one block share what it became; afterwards nothing of it is kept."""
    moves: list[np.ndarray] = []
    roots = Roots(lambda block: moves.append(block) or block.copy())
    block = np.arange(64, dtype=np.int32)
    memory, offset = roots.of(block[3:9:2])
    again, other = roots.of(block[::-1])
    assert memory is again
    assert len(moves) == 1
    assert memory[offset : offset + 4].view(np.int32)[0] == 3
    assert memory[other : other + 4].view(np.int32)[0] == 63
    del block
    gc.collect()
    assert not roots._moved


def test_jax_is_read_through_a_fresh_copy_off_the_cpu() -> None:
    """An array that keeps its host's copy shows old values after a write."""
    pytest.importorskip("jax")
    from bnspec.backends.jax.numpy import JaxNumpy

    class Keeping:
        def __init__(self, memory: np.ndarray) -> None:
            self.memory, self.kept = memory, None

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            self.kept = self.memory.copy() if self.kept is None else self.kept
            return self.kept

    adapter = JaxNumpy.__new__(JaxNumpy)
    adapter.place = types.SimpleNamespace(platform="gpu")
    adapter.jax = types.SimpleNamespace(numpy=types.SimpleNamespace(array=lambda t, copy: Keeping(t.memory)))
    tensor = Keeping(np.zeros(3))
    assert adapter.array(tensor).tolist() == [0.0] * 3
    tensor.memory += 1.0
    assert adapter.array(tensor).tolist() == [1.0] * 3


@pytest.mark.parametrize("spec", ["torch.nn:TorchNN", "jax.numpy:JaxNumpy", "tensorflow.nn:TensorflowNN"])
def test_addresses_are_those_of_the_memory(spec: str) -> None:
    """As the framework tells them, and as NumPy sees the same memory."""
    import importlib

    module, _, name = spec.partition(":")
    pytest.importorskip(module.partition(".")[0])
    adapter = getattr(importlib.import_module("bnspec.backends." + module), name)()
    for dtype in ("float32", "bool"):
        tensor = adapter.tensor(np.ones((3, 4), dtype))
        assert adapter.extent(tensor) == extent(adapter.array(tensor))


@cache
def cases() -> Sequence[Case]:
    """Of a quick run."""
    return list(cases_of("quick", 1))


Out = Literal["copied", "kept"]


@cache
def of_the_base(base: type, out: Out, case: Case) -> bytes:
    """What can be seen of the layer or scaler that mutants change a little."""
    slot = "scaler_class" if issubclass(base, PlainScaler) else "layer_class"
    adapter = FullAdapter if issubclass(base, FullLayer) else PlainAdapter
    there = Away(type("Base", (adapter,), {slot: base})(), out)
    return fingerprint(run_case(there, *case.header()))


def escapes(entry: CatalogueEntry, out: Out, oracles: dict[str, Oracle]) -> bool:
    """Whether no case breaks a clause that must kill the mutant; where it does what its base does, nothing can."""
    adapter = Away(entry.adapter_class()(), out)
    base = next(b for b in (PlainScaler, FullLayer, PlainLayer) if issubclass(entry.implementation, b))
    for case in filter(entry.applies_to, cases()):
        observation = run_case(adapter, *case.header())
        if fingerprint(observation) == of_the_base(base, out, case):
            continue
        oracle = oracles.setdefault(case.id, Oracle(case))
        found = judge(case, observation, adapter.conventions, oracle, checks_for(entry.killed_by))
        if any(j is not None and not j.holds for j in found.values()):
            return False
    return True


def escaped(tried: Sequence[CatalogueEntry], out: Out) -> list[str]:
    """The mutants that no case kills where tensors live elsewhere."""
    oracles: dict[str, Oracle] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        return [e.name for e in tried if escapes(e, out, oracles)]


def mutants_of(*families: str) -> list[CatalogueEntry]:
    """Those of these families that the suite kills in its own process."""
    return [e for e in MUTANTS if e.family in families and not e.escapes and not e.implementation.isolated]


@pytest.mark.slow
def test_no_mutant_of_purity_escapes_on_a_device() -> None:
    """Writes and aliases are seen where values are read through copies."""
    tried = mutants_of("purity")
    assert len(tried) >= 10
    assert escaped(tried, "kept") == []


@pytest.mark.slow
@pytest.mark.parametrize("out", ["copied", "kept"])
def test_no_mutant_of_memory_escapes_on_a_device(out: Out) -> None:
    """Every mutant of purity, layout and state is killed where tensors live elsewhere."""
    tried = mutants_of("purity", "layout", "state")
    assert len(tried) >= 62
    assert escaped(tried, out) == []
