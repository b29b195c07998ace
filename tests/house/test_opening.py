"""Opening a backend: adapters that are malformed, of another bnspec, absent, or offer a part."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_cases import case_of, layouts

import bnspec
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import Entry
from bnspec.backends.worker.wire import PROTOCOL
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.errors import UsageError
from bnspec.model.call import TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step

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
