"""Known deviations of forms of PyTorch's layer: a cumulative average, recomputed modules, the operator beneath."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    differentiates_inference_of_nothing,
    refuses,
    trains_after_raising,
    trains_on_one_value,
    trains_with_gradients,
)
from bnspec.backends.harness.known.recomputed import TWICE
from bnspec.backends.harness.known.shared_folding import OTHER_MODULE

RELEASES = ">=2.13,<2.14"

FORMS: tuple[Known, ...] = (
    Known(
        title="A call that raises is counted",
        backends="torch.cumulative",
        clauses=(
            "errors.continue_as_if_not_called",
            "layout.axis",
            "layout.extents",
            "running.mean",
            "running.moves_once_with_gradients",
            "running.second_step_continues",
            "running.statistics_are_stable",
            "running.var",
            "training.repeatable",
        ),
        where=trains_after_raising,
        conditions="momentum=None, and a call in training mode that raises, before a step",
        kind="bug",
        reason=(
            "num_batches_tracked is raised before batch_norm refuses x, for one value per channel or other channels: the next batch "
            "enters the plain average with the weight 1 / (t + 2) in place of 1 / (t + 1)."
        ),
        observed=(
            "BatchNorm1d(1, momentum=None): on [[2], [4]], then on [[9]], which raises, then on [[6], [8]]: running_mean is 4.3333, "
            "the mean of both batches 5, and num_batches_tracked 3."
        ),
        reported=False,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A checkpointed layer steps again in the backward pass",
        backends="torch.checkpoint",
        clauses=TWICE,
        where=trains_with_gradients,
        conditions="a backward pass in training mode",
        kind="bug",
        reason=(
            "torch.utils.checkpoint calls the module once more in the backward pass, which moves the running statistics a second time; "
            "its documentation says that the results are the same as without."
        ),
        observed=(
            "BatchNorm1d(1, momentum=0.5), x [[2], [4]]: after y = checkpoint(layer, x, use_reentrant=False) running_mean is 1.5, "
            "after y.sum().backward() 2.25."
        ),
        link="https://github.com/pytorch/pytorch/issues/96136",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="One value per channel makes the operator's running variance NaN",
        backends="torch.native, torch.native.out",
        clauses=("degenerate.count_one",),
        where=trains_on_one_value,
        conditions="training on one value per channel",
        kind="bug",
        reason="the batch's variance is multiplied by n / (n - 1), 0 by infinity; torch.nn.functional.batch_norm refuses such x before.",
        observed="native_batch_norm of [[5]], running statistics 0 and 1, momentum 0.5: running_var becomes nan, without an error.",
        link="https://github.com/pytorch/pytorch/issues/1381",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="The backward pass of an empty inference ends the process",
        backends="torch.native",
        clauses=("contract.completes",),
        where=differentiates_inference_of_nothing,
        conditions="the backward pass, in inference, of the operator at x without values",
        kind="bug",
        reason=(
            "the backward kernel divides by the number of values, an integer, where training refuses such x; torch.batch_norm returns an "
            "empty x before."
        ),
        observed="x (0, 3), training=False: y is (0, 3), and its backward pass ends in SIGFPE.",
        link="https://github.com/pytorch/pytorch/issues/120803",
        reported=False,
        search="The report is of the same exception in torch.batch_norm_update_stats, where it was fixed.",
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="The operator reads beyond parameters of another length",
        backends="torch.native",
        clauses=("errors.malformed_parameters", "errors.malformed_data", "contract.completes"),
        where=refuses,
        conditions="weight, bias or a running statistic does not have one value per channel of x",
        kind="bug",
        reason=(
            "the operator compares no length with the channels, as torch.batch_norm does before it: it reads, and in training writes, "
            "beyond their memory."
        ),
        observed=(
            "native_batch_norm of (2, 3), weight of 2 values: y of the third channel is -4e-19 and 4e-19, others in other runs; a "
            "running_var without values ends in SIGSEGV."
        ),
        link="https://github.com/pytorch/pytorch/issues/169208",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A shared convolution is folded with every module",
        backends="torch.folded.fx.shared",
        clauses=OTHER_MODULE,
        where=lambda case: True,
        conditions="a convolution that is called twice, with a module of its own after each call, as in heads of a detector",
        kind="bug",
        reason=(
            "torch.fx.experimental.optimization.fuse folds one module after the other into the weights that both calls share, so that each "
            "call goes through all modules."
        ),
        observed=(
            "A convolution by 1, BatchNorm2d of mean 0 and variance 4 after its first call, of mean 1 and variance 1 after its second, x = "
            "3: 1.5 and 2; after fuse 0.5 and 0.5."
        ),
        link="https://github.com/pytorch/pytorch/issues/104593",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
    Known(
        title="A cumulative average is not exported",
        backends="torch.export.cumulative",
        clauses=("contract.accepts",),
        where=lambda case: any(s.call.mode == "training" for s in case.steps),
        conditions="momentum=None, in train()",
        kind="bug",
        reason=(
            "the module makes a number of 1 / num_batches_tracked, which depends on data: torch.export raises, and so does torch.compile with "
            "fullgraph=True; without it the graph breaks there."
        ),
        observed=(
            "torch.export.export(BatchNorm1d(3, momentum=None), (x,)): GuardOnDataDependentSymNode; with momentum=0.1 it is exported, and "
            "torch.jit.script takes both."
        ),
        link="https://github.com/pytorch/pytorch/issues/194504",
        reported=True,
        package="torch",
        versions=RELEASES,
    ),
)
