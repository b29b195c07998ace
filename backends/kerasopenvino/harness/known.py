"""Known deviations of Keras on OpenVINO; those that it shares with other backends of Keras are listed in the folder keras."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import half_not_packed
from bnspec.model.case import Case


def infers_nothing_in_space(case: Case) -> bool:
    """Inference of a batch without values that has axes in space."""
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.call.mode == "inference" and not s.refused]
    return case.subject == "batch_norm" and any(x.size == 0 and x.ndim > 2 for x in batches)


KNOWN: tuple[Known, ...] = (
    Known(
        title="A view of float16 is read as the numbers of its bits",
        backends="keras.openvino",
        clauses=(
            "affine.per_channel",
            "dtype.half_is_as_exact_as_declared",
            "inference.output",
            "inference.value_is_independent_of_batch",
            "layout.axis",
            "layout.extents",
            "layout.strides",
        ),
        where=lambda case: case.config.dtype == "float16" and half_not_packed(case),
        conditions="a float16 array of NumPy that is not contiguous, as a transposed one or every other column",
        kind="bug",
        reason=(
            "OpenVINO's Constant of such an array converts its 16 bits from an unsigned integer to float16; Keras makes a constant of every "
            "array. Contiguous arrays, and other dtypes, are right."
        ),
        observed=(
            'openvino.op.Constant(numpy.arange(4, dtype="float16").reshape(2, 2).T).data is [[0, 16384], [15360, 16896]], expected [[0, 2], '
            "[1, 3]]; keras.ops.convert_to_tensor gives the same."
        ),
        reported=False,
        package="openvino",
        versions=">=2026.4,<2026.5",
    ),
    Known(
        title="An empty batch with axes in space ends the process",
        backends="keras.openvino",
        clauses=("contract.completes",),
        where=infers_nothing_in_space,
        conditions="inference of a batch without values, of rank 3 and more",
        kind="bug",
        reason="memory is overwritten: the allocator aborts in this call or a later one, or the process ends with SIGSEGV.",
        observed=(
            'x of shape (0, 3, 5, 2) with axis=1: "malloc(): unaligned fastbin chunk detected"; (0, 5, 2, 3) with axis=3: SIGSEGV; (0, 3, 4) '
            'with axis=1: "free(): invalid next size"; (0, 3) and (4, 3, 0, 2) give y.'
        ),
        reported=False,
        package="openvino",
        versions=">=2026.4,<2026.5",
    ),
    Known(
        title="float32 becomes bfloat16 rounded the wrong way",
        backends="keras.openvino",
        clauses=("dtype.half_is_as_exact_as_declared", "accuracy.errors_are_unbiased"),
        where=lambda case: case.config.dtype == "bfloat16",
        conditions="y in bfloat16, which Keras computes in float32",
        kind="bug",
        reason=(
            "OpenVINO's conversion adds half of the last kept bit where that bit is 1, and nothing where it is 0: a quarter of all values is "
            "rounded down that should be rounded up, by up to one unit in the last place."
        ),
        observed=(
            "Convert from f32 to bf16 of 1.0077, 1.0039 and 1.0118: 1, 1 and 1.015625; nearest are 1.0078125, 1.0 and 1.015625. Of 100,000 "
            "normal numbers 25.1 % are one unit too small, none too large, and all are (u + ((u & 0x10000) >> 1)) >> 16 of their bits u."
        ),
        reported=False,
        package="openvino",
        versions=">=2026.4,<2026.5",
    ),
)
