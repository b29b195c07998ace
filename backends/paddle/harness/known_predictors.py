"""Known deviations of the predictors of ``paddle.inference``."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import infers_nothing
from bnspec.backends.harness.known.shared_folding import OTHER_MODULE
from bnspec.model.case import Case

RELEASES = ">=3.3,<3.4"


def has_no_weights(case: Case) -> bool:
    """The module has neither gamma nor beta."""
    return not case.config.affine


def several_in_a_group(case: Case) -> bool:
    """Images of an even number of channels, four or more: groups of two."""
    return case.config.rank == 4 and case.config.channels % 2 == 0 and case.config.channels > 2


PREDICTORS: tuple[Known, ...] = (
    Known(
        title="A predictor of a module without weights ends the process",
        backends="paddle.inference.plain",
        clauses=("contract.completes",),
        where=has_no_weights,
        conditions="weight_attr=False and bias_attr=False, in a predictor of paddle.inference",
        kind="bug",
        reason=(
            "oneDNN's kernel of batch_norm reads the scale and the bias, which are optional, without asking whether they are there; passes "
            "that fold the module into a convolution ask for their shapes, and raise."
        ),
        observed=(
            "BatchNorm1D(2, weight_attr=False, bias_attr=False) in eval(), saved by paddle.jit.save: the predictor's run ends in SIGSEGV; "
            'after Conv2D(2, 2, 1) create_predictor raises "we can only get shape for dense_tensor or selected_rows".'
        ),
        reported=False,
        link="https://github.com/PaddlePaddle/PaddleTest/pull/2995",
        search="The link is a change of PaddlePaddle's tests by which both have to be set.",
        package="paddle",
        versions=RELEASES,
    ),
    Known(
        title="A predictor refuses an empty batch",
        backends="paddle.inference*",
        clauses=("contract.accepts",),
        where=infers_nothing,
        conditions="inference of a batch without values, in a predictor of paddle.inference",
        kind="bug",
        reason="the module in dynamic mode returns an empty y; the predictor raises std::exception, without more.",
        observed="BatchNorm1D(1) in eval(), x of shape (0, 1): RuntimeError: std::exception.",
        reported=False,
        package="paddle",
        versions=RELEASES,
    ),
    Known(
        title="A predictor folds grouped transposed convolutions by the wrong axis",
        backends="paddle.folded.transposed.grouped",
        clauses=OTHER_MODULE,
        where=several_in_a_group,
        conditions="Conv2DTranspose without a bias, in groups of two channels or more, before BatchNorm2D, in a predictor of paddle.inference",
        kind="bug",
        reason=(
            "the weights of a transposed convolution have the inputs on axis 0 and one group's outputs on axis 1; the pass scales axis 0 "
            "by the values of the outputs where there are groups. With other numbers of inputs and outputs it raises."
        ),
        observed=(
            "Conv2DTranspose(4, 4, 1, groups=2, bias_attr=False) that swaps the channels of a pair, BatchNorm2D(4) with the weights 1, 2, 3, "
            '4, x of ones: 2, 1, 4, 3, expected 1, 2, 3, 4. From 4 to 6 channels: "Broadcast dimension mismatch".'
        ),
        reported=True,
        link="https://github.com/PaddlePaddle/Paddle/pull/37799",
        search="A test of the pass of 2021 leaves groups out: there is a difference.",
        package="paddle",
        versions=RELEASES,
    ),
)
