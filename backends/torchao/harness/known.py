"""Known deviations of torchao."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.shared_folding import OTHER_MODULE

KNOWN: tuple[Known, ...] = (
    Known(
        title="A shared convolution is folded with the first module alone",
        backends="torch.folded.ao.shared",
        clauses=OTHER_MODULE,
        where=lambda case: True,
        conditions="a convolution that is called twice, with a module of its own after each call, as in heads of a detector",
        kind="bug",
        reason=(
            "prepare_pt2e folds the module after the first call into the weights that both share, and removes the one after the second, "
            "whatever its values are."
        ),
        observed=(
            "A convolution by 1, BatchNorm2d of mean 0 and variance 4 after its first call, of mean 1 and variance 1 after its second, x = "
            "3: 1.5 and 2; after prepare_pt2e 1.5 and 1.5."
        ),
        link="https://github.com/pytorch/ao/pull/2795",
        reported=False,
        search="The link is the change that folds shared weights once; it takes the modules for equal.",
        package="torchao",
        versions=">=0.18,<0.19",
    ),
    Known(
        title="A folded convolution's bits depend on the batch",
        backends="torch.folded.ao",
        clauses=("inference.bits_are_independent_of_batch",),
        where=lambda case: True,
        conditions="a folded convolution of a batch and of one of its rows",
        kind="documented difference",
        reason="convolutions choose their kernels by the shape of x; PyTorch promises no equal bits of batches and their slices.",
        observed="The suite's case: row 1 alone differs in its last bits from the same row in the batch.",
        link="https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        reported=True,
        package="torchao",
        versions=">=0.18,<0.19",
    ),
)
