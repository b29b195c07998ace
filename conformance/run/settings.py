"""What a run is asked to do besides its targets and cases."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bnspec.backends.harness.limits import Limits
from bnspec.clauses import Clause
from bnspec.conformance.run.shard import Shard


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        clauses: that are judged.
        shrink_seconds: time for shrinking the case of one clause on one target; cause_seconds: time for the experiments that
            find the causes of one target's deviations; limits: of each worker.
        jobs: workers at a time.
        ends: in seconds of ``time.monotonic``, when the time of the run is up, of which each target has a share; infinite: it has no limit.
        assist: whether two workers may share a target, for which all its cases must be drawn beforehand.
        shard: the part of the cases that is run; None: all.
        histories: whether what deviates is run again in new processes, to see whether it needs the calls before it.
        environment: variables of the workers besides those of this process.
        fixed: ids of the cases that are the same for every seed: the bits of their results are recorded.
    """

    clauses: Sequence[Clause]
    shrink_seconds: float
    cause_seconds: float = 5.0
    limits: Limits = field(default_factory=Limits)
    jobs: int = 2
    ends: float = math.inf
    assist: bool = True
    shard: Shard | None = None
    histories: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    fixed: Collection[str] = ()

    @property
    def limited(self) -> bool:
        """Whether the run has a limit of time."""
        return self.ends < math.inf
