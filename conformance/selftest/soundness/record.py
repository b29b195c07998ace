"""The record of a run: the largest ratios by tier, output and algorithm, and whether the bounds are sound and tight."""

from __future__ import annotations

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bnspec.conformance.selftest.soundness.algorithms import Algorithm
from bnspec.conformance.selftest.soundness.experiment import BoundExperiment, worst_by_channel
from bnspec.conformance.selftest.soundness.search import Peak, climb
from bnspec.model.conventions import HALVES
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import TIERS

#: A bound is sound if no correct algorithm's error exceeds it.
SOUND = 1.0
#: A bound is tight if some algorithm reaches the part NEAR of the permissive one at counts up to SMALL, and half of the good
#: algorithms reach the part NEAR_GOOD of the good one. These numbers are a decision, not a derivation.
NEAR, SMALL, NEAR_GOOD = 0.1, 64, 0.05


@dataclasses.dataclass
class Record:
    """Largest ratios so far.

    Attributes:
        by_output: of each tier and output, over the algorithms that the tier admits: the ratio, the algorithm, the case.
        by_algorithm: of each algorithm and tier, admitted or not; half precision only for those that compute in it.
        near: of each output, permissive, at counts up to SMALL; half precision left out, whose storing alone comes near.
        good: of each output and good algorithm, good tier; half precision left out.
        experiments: how many cases; elements: how many of an output's channels were judged.
    """

    by_output: dict[tuple[Tier, str], tuple[float, str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict)
    by_algorithm: dict[tuple[str, Tier], float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    near: dict[str, tuple[float, str, str]] = dataclasses.field(default_factory=dict)
    good: dict[tuple[str, str], float] = dataclasses.field(default_factory=lambda: defaultdict(float))
    experiments: int = 0
    elements: int = 0

    def run(self, experiments: Iterable[BoundExperiment], algorithms: Sequence[Algorithm]) -> Record:
        """Every algorithm that applies, on every experiment."""
        for experiment in experiments:
            self.experiments += 1
            for algorithm in algorithms:
                if algorithm.applies_to(experiment.label["dtype"]):
                    outcome = {**experiment.outcome(algorithm), **experiment.layer_norm_outcome(algorithm)}
                    for output, (got, expected) in outcome.items():
                        for tier in TIERS:
                            self._note(algorithm, tier, output, worst_by_channel(got, expected, tier), experiment)
        return self

    def search(self, algorithms: Sequence[Algorithm], counts: Sequence[int], steps: int) -> Record:
        """Climb towards the permissive bound of every output so far; layer normalization shares its formulas."""
        admitted = [a for a in algorithms if "permissive" in a.tiers and a.applies_to("float32")]
        for output in [o for o in self.outputs if not o.startswith("layer norm")]:
            for count in counts:
                epsilon, decay = (1e-5, 1.0, 1e-12)[count % 3], 0.0 if "batch" in output else 0.9
                peak = climb(admitted, output, "permissive", count, epsilon, decay, seed=count, steps=steps)
                self._peak(output, peak, f"float32, count {count}, searched")
        return self

    @property
    def outputs(self) -> list[str]:
        """Every output that was judged, in the order of their first appearance."""
        return list(dict.fromkeys(o for _, o in self.by_output))

    def median_good(self, output: str) -> float:
        """Over the good algorithms, the median of their largest ratios."""
        return statistics.median(r for (o, _), r in self.good.items() if o == output)

    def violations(self) -> list[str]:
        """Where the bounds are unsound or loose; empty when they are sound and tight."""
        found = []
        for (tier, output), (ratio, algorithm, label) in self.by_output.items():
            if not ratio <= SOUND:
                found.append(f"unsound: {algorithm} has {ratio:.3g} times the {tier} bound of {output}, {dict(label)}")
        for output in self.outputs:
            if self.near[output][0] < NEAR:
                found.append(
                    f"loose: no algorithm has more than {self.near[output][0]:.3g} of the permissive bound of {output}"
                )
            if self.median_good(output) < NEAR_GOOD:
                found.append(
                    f"loose: half of the good algorithms have less than {self.median_good(output):.3g} of the good bound of {output}"
                )
        return found

    def _note(
        self, algorithm: Algorithm, tier: Tier, output: str, ratios: np.ndarray, experiment: BoundExperiment
    ) -> None:
        known = ratios[~np.isnan(ratios)]
        if not known.size:
            return
        worst, dtype = float(known.max()), experiment.label["dtype"]
        if dtype not in HALVES or algorithm.half == "own":
            self.by_algorithm[algorithm.name, tier] = max(self.by_algorithm[algorithm.name, tier], worst)
        if tier not in algorithm.tiers:
            return
        self.elements += known.size
        if worst >= self.by_output.get((tier, output), (0.0,))[0]:
            self.by_output[tier, output] = worst, algorithm.name, experiment.label
        if dtype in HALVES:
            return
        if tier == "permissive" and experiment.label["count"] <= SMALL:
            self._peak(
                output,
                Peak(worst, algorithm.name),
                f"{dtype}, count {experiment.label['count']}, kappa {experiment.label['kappa']:g}",
            )
        if tier == "good":
            self.good[output, algorithm.name] = max(self.good[output, algorithm.name], worst)

    def _peak(self, output: str, peak: Peak, where: str) -> None:
        if peak.ratio >= self.near.get(output, (0.0,))[0]:
            self.near[output] = peak.ratio, peak.algorithm, where
        if peak.ratio > self.by_output.get(("permissive", output), (0.0,))[0]:
            self.by_output["permissive", output] = peak.ratio, peak.algorithm, {"case": where}
