"""A layer folded into a convolution: the right folding conforms, and the ways in which foldings have gone wrong are seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from in_process import broken, observed

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.cases.forward import offered
from bnspec.model.case import Case

torch = pytest.importorskip("torch")
CLAUSES = ("inference.output", "contract.accepts", "contract.shapes", "layout.axis", "affine.per_channel")
FORMS = (Form((4, 3, 5), 1), Form((3, 4, 2, 5), 1), Form((2, 3, 2, 3, 4), 1))
KINDS = ("TorchFolded", "TorchFoldedTransposed", "TorchFoldedJit")


def adapter_of(kind: str, folded: Callable[[Any, Any], Any] | None = None) -> Any:
    """An adapter, with another folding if one is given."""
    from bnspec.backends.torch import folded as module

    known = getattr(module, kind)
    return (known if folded is None else type(kind, (known,), {"folded": staticmethod(folded)}))("cpu")


def asked(form: Form, adapter: Any) -> Case:
    """An ordinary case, as such a backend is given it."""
    return offered(batch_norm_case(Plan(form, "wide", epsilon=1.0, seed=3)), adapter.conventions)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{len(f.shape)}d")
def test_a_right_folding_conforms(kind: str, form: Form) -> None:
    """In each rank, channels in pairs and all together."""
    adapter = adapter_of(kind)
    case = asked(form, adapter)
    answered = [s.status for s in observed(case, adapter).steps if s.status != "declined"]
    assert answered
    assert set(answered) == {"ok"}
    assert broken(case, adapter, CLAUSES) == set()


def fold(scale: Callable[[Any], Any], shift: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A folding of a convolution from its scale and its shift, which are functions of the module and of the convolution's bias."""

    def folded(before: Any, module: Any) -> Any:
        by = scale(module)
        shape = (-1, *[1] * (before.weight.dim() - 1))
        before.weight = torch.nn.Parameter(before.weight * by.reshape(shape))
        before.bias = torch.nn.Parameter(shift(module, before.bias, by))
        return before

    return folded


def right_scale(module: Any) -> Any:
    """gamma / sqrt(var + epsilon)."""
    return module.weight / torch.sqrt(module.running_var + module.eps)


def right_shift(module: Any, bias: Any, by: Any) -> Any:
    """(bias - mean) scale + beta."""
    return (bias - module.running_mean) * by + module.bias


FAULTS: dict[str, Callable[[Any, Any], Any]] = {
    "the bias is dropped": fold(right_scale, lambda m, bias, by: m.bias - m.running_mean * by),
    "the bias is not scaled": fold(right_scale, lambda m, bias, by: bias + m.bias - m.running_mean * by),
    "the mean is dropped": fold(right_scale, lambda m, bias, by: bias * by + m.bias),
    "beta is dropped": fold(right_scale, lambda m, bias, by: (bias - m.running_mean) * by),
    "beta is scaled": fold(right_scale, lambda m, bias, by: (bias - m.running_mean + m.bias) * by),
    "epsilon is dropped": fold(lambda m: m.weight / torch.sqrt(m.running_var), right_shift),
    "the usual epsilon": fold(lambda m: m.weight / torch.sqrt(m.running_var + 1e-5), right_shift),
    "epsilon outside the root": fold(lambda m: m.weight / (torch.sqrt(m.running_var) + m.eps), right_shift),
    "gamma is dropped": fold(lambda m: 1.0 / torch.sqrt(m.running_var + m.eps), right_shift),
    "the variance for the deviation": fold(lambda m: m.weight / (m.running_var + m.eps), right_shift),
    "one channel's scale for all": fold(lambda m: right_scale(m)[:1].expand_as(m.weight), right_shift),
    "channels in reverse": fold(lambda m: right_scale(m).flip(0), right_shift),
    "folded twice": fold(lambda m: right_scale(m) ** 2 / m.weight, right_shift),
}


def test_the_faults_are_those_of_the_parts() -> None:
    """The same function with the right parts conforms."""
    adapter = adapter_of("TorchFolded", fold(right_scale, right_shift))
    assert broken(asked(FORMS[1], adapter), adapter, CLAUSES) == set()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("form", FORMS[:2], ids=lambda f: f"{len(f.shape)}d")
def test_a_wrong_folding_is_seen(fault: str, form: Form) -> None:
    """By the inference's output itself."""
    adapter = adapter_of("TorchFolded", FAULTS[fault])
    assert "inference.output" in broken(asked(form, adapter), adapter, CLAUSES)


def test_weights_by_the_input_channel_are_seen() -> None:
    """As where a transposed convolution's weight is taken for that of a convolution: axes 0 and 1 are exchanged."""

    def folded(before: Any, module: Any) -> Any:
        by = right_scale(module)
        before.weight = torch.nn.Parameter(before.weight * by.reshape(-1, 1, *[1] * (before.weight.dim() - 2)))
        before.bias = torch.nn.Parameter(right_shift(module, before.bias, by))
        return before

    adapter = adapter_of("TorchFoldedTransposed", folded)
    assert "inference.output" in broken(asked(FORMS[0], adapter), adapter, CLAUSES)


def test_what_the_layer_before_cannot_compute_is_declined() -> None:
    """Infinities, which a weight of 0 makes NaN; planes without values; matrices beyond a size."""
    adapter = adapter_of("TorchFolded")
    case = asked(FORMS[0], adapter)
    infinite = np.array(case.arrays["x"])
    infinite[0, 0, 0] = np.inf
    for x in (infinite, np.zeros((2, 3, 0), "float32")):
        given = case.with_(arrays={**case.arrays, "x": x})
        steps = zip(given.steps, observed(given, adapter).steps, strict=True)
        assert {there.status for step, there in steps if step.inputs == ("x",)} == {"declined"}
    wide = asked(Form((1, 2051, 1), 1), adapter)
    assert "more than" in observed(wide, adapter).steps[0].message


#: Prints the operations that Grappler leaves of the function, by what TensorFlow records of a run.
GRAPH = """
import tensorflow as tf
from bnspec.backends.tensorflow.fused import TensorflowFolded
from bnspec.contract import LayerConfig
from tensorflow.python.eager import context
adapter = TensorflowFolded("cpu")
config = LayerConfig(4, 3, 2, 0.001, 0.75, "float32", "float32", True)
layer = adapter.layer(config, *map(tf.constant, ([1.0, 2.0], [0.5, 1.0], [0.1, 0.2], [1.0, 2.0])))
context.context().enable_run_metadata()
layer.inference(tf.ones((2, 3, 2, 2)))
for graph in context.context().export_run_metadata().function_graphs:
    print(*(node.op for node in graph.post_optimization_graph.node))
"""


def test_grappler_makes_one_operation_of_the_convolution_and_the_layer() -> None:
    """What tensorflow.folded is there for; in a process of its own, as each framework is."""
    pytest.importorskip("tensorflow")
    end = subprocess.run([sys.executable, "-c", GRAPH], capture_output=True, text=True, timeout=300, check=True)
    operations = end.stdout.split()
    assert "_FusedConv2D" in operations
    assert "FusedBatchNormV3" not in operations
