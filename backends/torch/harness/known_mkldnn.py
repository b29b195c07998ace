"""Known deviations of PyTorch's function on tensors in oneDNN's layout."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import has_strided_parameters, infers_nothing

RELEASES = ">=2.13,<2.14"

MKLDNN: tuple[Known, ...] = (
    Known(
        title="oneDNN's batch_norm reads strided parameters as if they were packed",
        backends="torch.mkldnn",
        clauses=(
            "affine.absent_is_identity",
            "affine.per_channel",
            "affine.zero_gamma_gives_beta",
            "contract.accepts",
            "contract.completes",
            "degenerate.constant_channel",
            "epsilon.as_given",
            "epsilon.inside_root_in_inference",
            "epsilon.inside_root_in_training",
            "gradient.training_dx",
            "gradient.training_is_stable",
            "inference.follows_training",
            "inference.output",
            "inference.value_is_independent_of_batch",
            "layout.axis",
            "layout.extents",
            "layout.strides",
            "training.finite",
            "training.output",
            "training.output_is_stable",
            "training.output_moments",
        ),
        where=has_strided_parameters,
        conditions="weight or bias is a view with strides, and x is in oneDNN's layout",
        kind="bug",
        reason="the kernel takes the address of weight and bias and not their strides: it reads their neighbours, and beyond an expanded one; the backward pass makes gradients of their strides, and fails.",
        observed=(
            "batch_norm of (1, 3, 1, 1) zeros by to_mkldnn(), running statistics 0 and 1, bias torch.tensor([10., -99, 20, -99, 30, "
            "-99])[::2]: y is 10, -99, 20; dense 10, 20, 30. A weight expanded from one value ended a process in SIGSEGV."
        ),
        link="https://github.com/pytorch/pytorch/issues/16018",
        reported=False,
        search="The report is of the same fault in convolution, where it was fixed.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="oneDNN's batch_norm refuses x without values in inference",
        backends="torch.mkldnn",
        clauses=("contract.accepts",),
        where=infers_nothing,
        conditions="an inference of x without values, in oneDNN's layout",
        kind="bug",
        reason="the kernel asks for the dtype of memory that an empty tensor does not have; the dense function returns x.",
        observed="batch_norm of torch.zeros(4, 3, 0, 2).to_mkldnn() in inference: RuntimeError, get_mkldnn_dtype: unsupported data type.",
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
)
