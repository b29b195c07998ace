"""One saved case of a judgement, run again on its kernel: as its file is now, by the conventions that it was judged by."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bnspec.backends.harness.compilation_cache import open_cache
from bnspec.backends.harness.launcher import PATIENT
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.backends.kernels.harness.housing import housed
from bnspec.backends.kernels.harness.recognise import recognise
from bnspec.clauses import Clause
from bnspec.conformance.run.replay import Replay, replay, run_of
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions


def replayed_kernel(path: Path, case: Case, clauses: Sequence[Clause], limits: Limits) -> Replay | None:
    """The case of this file on the kernel of its run; None where it lies in no run of ``bnspec judge``.

    Raises UsageError: the kernel is not there, where it was named from, or in no known form.
    """
    run = run_of(path)
    judged = next(iter(run.targets), None) if run is not None and "kernel" in run.manifest.options else None
    if judged is None:
        return None
    recognised = recognise(judged.backend)
    conventions = Conventions.from_json(judged.conventions)
    with tempfile.TemporaryDirectory(prefix="bnspec-replay-", ignore_cleanup_errors=True) as folder:
        kernel = dataclasses.replace(
            recognised.kernel,
            folder=folder,
            momentum_weighs=conventions.momentum_weighs,
            conventions=conventions.to_json(),
        )
        recognised = housed(recognised.with_kernel(kernel))
        environment = {**PATIENT, **open_cache().environment, **kernel.variable()}
        return replay(case, Target(recognised.entry, judged.device), clauses, limits, environment)
