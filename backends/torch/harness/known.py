"""Known deviations of PyTorch."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    all_half,
    calls,
    channels_innermost_strided_parameters,
    half_cotangent_overflows,
    half_not_packed,
    has_misshapen,
    has_other_channels_of_nothing,
    is_half,
    is_view,
    rows_of_large_means,
    steps_before_backward,
    tangent_of_overlapping,
)
from bnspec.backends.torch.harness.known_forms import FORMS, RELEASES
from bnspec.backends.torch.harness.known_mkldnn import MKLDNN
from bnspec.backends.torch.harness.known_out import OUT
from bnspec.backends.torch.harness.known_quantization import QUANTIZATION
from bnspec.model.call import TRAINING_TANGENT_GRADIENT, TRAINING_THIRD_ORDER

#: The backends whose modules and functions are over the case's own tensors, eager or exported; and all that take their kernels.
OVER_TENSORS = (
    "torch.nn, torch.functional, torch.native, torch.export, torch.export.cumulative, torch.cumulative, torch.autocast, "
    "torch.deterministic"
)
EAGER = f"{OVER_TENSORS}, torch.lazy"
RECOMPUTED = "torch.checkpoint"
COMPILED = "torch.compile, torch.decomposed"
#: What a wrong weight or running statistic in the backward pass shows in.
BACKWARD = (
    "affine.absent_is_identity",
    "affine.per_channel",
    "affine.zero_gamma_gives_beta",
    "degenerate.constant_channel",
    "epsilon.as_given",
    "epsilon.inside_root_in_inference",
    "epsilon.inside_root_in_training",
    "epsilon.only_the_sum_counts",
    "gradient.inference_dx",
    "gradient.inference_parameters",
    "gradient.null_space",
    "gradient.orthogonality",
    "gradient.training_dx",
    "gradient.training_is_stable",
    "layout.axis",
    "layout.extents",
    "layout.strides",
    "special.channels_are_isolated",
    "gradient.each_argument_alone",
    "gradient.linear_in_the_cotangent",
    "layout.channels_permute",
    "layout.copies",
    "layout.joined_axes",
    "layout.threads",
    "training.finite",
    "training.ignores_decay",
    "training.order_of_elements",
    "training.repeated_batch",
    "training.scale_equivariant",
)

KNOWN: tuple[Known, ...] = (
    Known(
        title="Half precision loses statistics",
        backends=f"{EAGER}, {RECOMPUTED}, {COMPILED}, torch.vmap",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=lambda case: all_half(case) or half_not_packed(case),
        conditions="half-precision x with half-precision parameters, or not packed",
        kind="accuracy",
        reason="statistics, or the gradients of gamma and beta, are rounded to x's dtype on the way.",
        observed=(
            "bfloat16 100 to 101.5: running mean 101 and variance 0.5, exact 100.75 and 0.41667; with float32 "
            "parameters exact."
        ),
        link="https://github.com/pytorch/pytorch/issues/156513",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="dx of half sequences with the channels last rounds a term",
        backends="torch.channels_last",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=lambda case: is_half(case) and case.config.rank == 3 and any(s.call.has_gradients for s in case.steps),
        conditions="gradients of half-precision x of rank 3 with its channels innermost in memory",
        kind="accuracy",
        reason="the term along zhat is written into dx in x's dtype before it is subtracted; packed x, and images, have other kernels.",
        observed="bfloat16 (6, 4, 7): an element of dx is 0.0079956, exact 0.0082403: 8 roundings; the same x packed: none.",
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="Sums row by row lose every digit",
        backends=f"{EAGER}, {RECOMPUTED}, torch.channels_last, torch.compile, torch.vmap, torch.qat",
        clauses=("accuracy.keeps_a_digit",),
        where=rows_of_large_means,
        conditions="float32 x with its channels innermost, 1,000 values or more each, count |mean| > 1e8 std",
        kind="accuracy",
        reason="each thread adds rows (2-D, channels last) one after the other in float32; packed images are summed in a cascade.",
        observed=(
            "4,096 rows of mean 1e6 and standard deviation 1, one thread: running variance 916, exact 0.979; 100,000 rows of "
            "mean 1e4: 55.6, exact 1.003."
        ),
        link="https://github.com/pytorch/pytorch/issues/36582",
        reported=True,
        search="The report is of Tensor.mean over the outer axes of a channels-last tensor, the same sum.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A row's bits depend on its batch",
        backends=f"{EAGER}, {RECOMPUTED}, torch.compile",
        clauses=("inference.bits_are_independent_of_batch",),
        where=is_view,
        conditions="x is a view with strides of its own, of which one row is packed",
        kind="accuracy",
        reason="packed and strided inputs take different kernels, which round differently.",
        observed="64 of 64 rows differ in bits from the same rows in the batch.",
        link="https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="Statistics are written before parameters are read",
        backends=f"{OVER_TENSORS}, {RECOMPUTED}, torch.compile, torch.qat",
        clauses=("purity.shared_arguments",),
        where=lambda case: True,
        conditions="bias and running_mean, or weight and running_var, are the same memory",
        kind="bug",
        reason="the running statistics are written before weight and bias are read.",
        observed=(
            "x [[1, 2], [3, 6]], bias [10, 20]: y is [[9, 19], [11, 21]]; when running_mean is that bias: [[5, "
            "11], [7, 13]]."
        ),
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="The decomposition rounds what it saves",
        backends="torch.decomposed, torch.compile",
        clauses=("dtype.half_is_as_exact_as_declared",),
        where=is_half,
        conditions="half-precision x",
        kind="accuracy",
        reason="the decomposition rounds the saved mean and reciprocal root to x's dtype on the CPU, and the gradients use them.",
        observed="bfloat16 100 to 101.5, float32 weight: dgamma is -0.447, exact 0.67081, eager 0.67081.",
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="Strided parameters are read as if they were packed",
        backends=f"{OVER_TENSORS}, {RECOMPUTED}, torch.channels_last",
        clauses=BACKWARD,
        where=channels_innermost_strided_parameters,
        conditions="weight or a running statistic is a view with strides, x and dy have their channels innermost, on the CPU",
        kind="bug",
        reason="the backward kernel for channels-last memory reads weight, running_mean and running_var as if they were packed.",
        observed=(
            "weight = [2, 99, 3, 99, 4, 99][::2], inference: dx of channel 2 is 5.99997, of the packed weight "
            "7.99996; dx of channel 1 is 98.9995 instead of 2.99998. Strided running_var: dx is NaN. Forward is "
            "right. A weight expanded from one number has stride 0, and the kernel reads past the end of its "
            "memory: torch.tensor([1.5]).expand(3), inference: dx is [1.49999, 0, 0], expected 1.49999 three "
            "times; in other runs 1e22 to 1e29. The CPU kernel for channels-last memory takes data_ptr() of "
            "weight and statistics and not their strides."
        ),
        reported=False,
        search="[#33867](https://github.com/pytorch/pytorch/issues/33867) is about cuDNN and updates.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="Forward mode refuses an expanded x",
        backends=f"{EAGER}, {RECOMPUTED}, {COMPILED}, torch.vmap, keras.torch, keras.ops.torch",
        clauses=("contract.accepts",),
        where=tangent_of_overlapping,
        conditions="forward mode at an x that was expanded",
        kind="bug",
        reason="make_dual copies the tangent into memory of x's strides, and refuses when elements of x overlap.",
        observed=(
            'make_dual(torch.tensor([[1., 2.]]).expand(3, 2), ...) raises "more than one element of the '
            'written-to tensor refers to a single memory location"; the same x packed gives zeros.'
        ),
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="dx overflows before gamma makes it small",
        backends=f"{EAGER}, {RECOMPUTED}",
        clauses=(
            "affine.per_channel",
            "affine.zero_gamma_gives_beta",
            "epsilon.inside_root_in_inference",
            "epsilon.inside_root_in_training",
            "gradient.inference_dx",
            "gradient.training_dx",
            "layout.strides",
        ),
        where=half_cotangent_overflows,
        conditions="half precision throughout, x or dy is a view, and dy times the reciprocal root exceeds the range of half precision",
        kind="accuracy",
        reason="dx is formed in x's dtype: dy times the reciprocal root overflows before gamma makes it small.",
        observed=(
            "The suite's case, float16, gamma 0, dy by the reciprocal root beyond 65,504: dx is NaN, expected 0."
        ),
        link="https://github.com/pytorch/pytorch/issues/156513",
        reported=True,
        search="The report is of the same arithmetic.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A weight of any rank passes",
        backends=f"{EAGER}, {RECOMPUTED}, {COMPILED}, torch.vmap, torch.mkldnn, !torch.native",
        clauses=("errors.malformed_parameters",),
        where=has_misshapen("gamma", "beta", values=True),
        conditions="weight or bias has one value per channel, and another shape than (C,)",
        kind="bug",
        reason="batch_norm compares the number of values of weight and bias with C, and not their shape, which it documents as (C,).",
        observed=(
            "BatchNorm1d(3), weight of shape (3, 1, 1, 1), x (4, 3): forward gives y, backward raises "
            '"TensorAccessor expected 1 dims but tensor has 4". A running_mean of that shape is refused.'
        ),
        link="https://github.com/pytorch/pytorch/pull/190079",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="An empty batch may have any number of channels",
        backends=f"{EAGER}, {RECOMPUTED}, {COMPILED}, torch.vmap, !torch.native",
        clauses=("errors.malformed_data",),
        where=has_other_channels_of_nothing,
        conditions="x has no values, and another number of channels than the layer",
        kind="bug",
        reason="x without values is returned before its channels are compared with the layer's.",
        observed=(
            "BatchNorm1d(3) of x (0, 6) gives (0, 6), BatchNorm2d(3) of x (4, 6, 5, 0) gives (4, 6, 5, 0), in training and in "
            'evaluation; of x (2, 6) it raises "running_mean should contain 6 elements not 3".'
        ),
        link="https://github.com/pytorch/pytorch/issues/72821",
        reported=False,
        search="The report is of x with 0 channels.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="vmap refuses float32 parameters of half-precision x",
        backends="torch.vmap",
        clauses=("contract.accepts",),
        where=lambda case: is_half(case) and not all_half(case),
        conditions="half-precision x with float32 parameters, under vmap",
        kind="bug",
        reason="the batching rule calls operations that take one dtype; the same call without vmap is taken.",
        observed='x float16, two members of float32 weights: "expected scalar type Half but found Float"; without vmap y is float16.',
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A step before the backward pass changes the gradients",
        backends=f"{EAGER}, torch.channels_last, torch.qat",
        clauses=("gradient.of_its_own_forward_pass",),
        where=steps_before_backward,
        conditions="inference with gradients, then a training step, then the backward pass of the first",
        kind="bug",
        reason=(
            "the running statistics are saved by reference and updated without raising their version, so the backward pass "
            "of an inference reads them after the step, without an error."
        ),
        observed=(
            "BatchNorm1d(2, momentum=1), x [[1, 2], [3, 6], [5, 4]]: y of eval() has dx = 1; after a training step on 10 (x + 1) "
            "before the backward pass dx is 0.05. The same write by running_var.mul_ raises."
        ),
        link="https://github.com/pytorch/pytorch/issues/13402",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="The third derivative lacks terms",
        backends=f"{EAGER}, torch.channels_last, torch.qat",
        clauses=("second_order.third_derivative",),
        where=calls(TRAINING_THIRD_ORDER),
        conditions="third derivatives by x in training",
        kind="bug",
        reason="the double-backward function is given the saved mean and reciprocal root, which have no graph: it is differentiated as if they were constants.",
        observed=(
            "batch_norm of x [[0], [0]], epsilon 1, dy [[-1], [-0.0625]], v [[-1], [1]]: torch.autograd.grad three times, the last "
            "two by v, gives -0.875 for the second value, exact -1.40625; first and second derivatives are right."
        ),
        link="https://github.com/pytorch/pytorch/issues/186256",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="Grouped transposed convolutions are folded by the wrong axis",
        backends="torch.folded.transposed.grouped",
        clauses=("contract.accepts",),
        where=lambda case: case.config.channels > 2 or case.config.channels % 2 == 1,
        conditions="a transposed convolution in more than one group",
        kind="bug",
        reason=(
            "fuse_conv_bn_weights scales axis 1 of the weight, which has the output channels of one group, by the values of all: "
            "shapes that do not broadcast raise, and one channel a group makes a weight of another shape."
        ),
        observed=(
            "ConvTranspose2d(3, 3, 1, groups=3) and BatchNorm2d(3) become a layer whose weight is (3, 3, 1, 1), and whose call raises "
            '"expected bias to be 1-dimensional with 9 elements"; with 4 channels in 2 groups the folding itself raises.'
        ),
        link="https://github.com/pytorch/pytorch/issues/180995",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A linear layer is not folded with a module without weights",
        backends="torch.folded.linear",
        clauses=("contract.accepts",),
        where=lambda case: not case.config.affine,
        conditions="BatchNorm1d(affine=False) after a linear layer",
        kind="bug",
        reason="fuse_linear_bn_weights multiplies the module's weight, which is None; fuse_conv_bn_weights takes 1 and 0 in its place.",
        observed="TypeError: unsupported operand type(s) for *: 'NoneType' and 'Tensor'.",
        link="https://github.com/pytorch/pytorch/issues/122183",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A linear layer's outputs are taken for channels",
        backends="torch.folded.linear, torch.folded.jit.linear",
        clauses=("inference.output", "layout.axis", "affine.per_channel"),
        where=lambda case: case.config.rank == 3 and case.config.channels > 1,
        conditions="x of rank 3 with as many channels as the linear layer has outputs",
        kind="bug",
        reason=(
            "fuse_linear_bn_eval, and torch.jit.freeze of a script, scale the outputs, the last axis of x; BatchNorm1d normalises axis 1. They ask whether both have "
            "one extent, which does not make them one axis."
        ),
        observed=(
            "Linear(4, 4) and BatchNorm1d(4) of x (3, 4, 4): y[0, 2, 3] is that of channel 3, 2.25; of the two modules -1.25. "
            "torch.jit.freeze does the same. "
            "torchao reports the same of its own function."
        ),
        link="https://github.com/pytorch/ao/issues/4116",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A convolution's bits depend on the batch",
        backends="torch.folded, torch.folded.jit, torch.folded.fx*",
        clauses=("inference.bits_are_independent_of_batch",),
        where=lambda case: True,
        conditions="a folded convolution of a batch and of one of its rows",
        kind="documented difference",
        reason="convolutions choose their kernels by the shape of x; PyTorch promises no equal bits of batches and their slices.",
        observed="float32, x (3, 4, 3): a row alone differs in its last bits from the same row in the batch.",
        link="https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="The gradient of a tangent lacks terms",
        backends=f"{EAGER}, {RECOMPUTED}, torch.channels_last, torch.qat",
        clauses=("second_order.gradient_of_the_tangent",),
        where=calls(TRAINING_TANGENT_GRADIENT),
        conditions="a derivative, in either mode, of a tangent by forward mode in training",
        kind="bug",
        reason="the rule of forward mode reads the saved mean and reciprocal root, which have no graph: it is differentiated as if they were constants.",
        observed=(
            "The function of t of the report, epsilon 0.25, float64: the second derivative by two tangents, or the gradient of one, is "
            "-2.1324, by two gradients, or a tangent of one, -0.2070, which is right."
        ),
        link="https://github.com/pytorch/pytorch/issues/196699",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    *FORMS,
    *MKLDNN,
    *QUANTIZATION,
    *OUT,
)
