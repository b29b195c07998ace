"""Known deviations of OnnxSlim."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known

KNOWN: tuple[Known, ...] = (
    Known(
        title="A training node of a constant loses its first output",
        backends="onnxslim.training",
        clauses=("contract.accepts",),
        where=lambda case: case.subject == "input_norm",
        conditions="training_mode=1, an x that is a constant of the model, and new statistics that are results of the model",
        kind="bug",
        reason=(
            "y is computed beforehand and becomes a constant; the node is kept for its other outputs, with y removed from the list, so "
            "that two outputs are left, where the first is not optional: ONNX's checker and ONNX Runtime refuse the model."
        ),
        observed=(
            "x [[1, 2], [3, 6]], y + zeros and both new statistics as results: the node's outputs become new_mean, new_var; onnx.checker: "
            '"output size 2 not in allowed output sizes", ONNX Runtime: INVALID_GRAPH.'
        ),
        reported=False,
        package="onnxslim",
        versions=">=0.1.98,<0.2",
    ),
)
