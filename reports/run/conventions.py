"""Records of conventions: what experiments found of each, and how a layer is translated to another backend."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bnspec.reports.run.fields import BackendName, CasePath, Count, DeviceName, Number, Ordinal, Ratio, Tagged, Word
from bnspec.reports.run.vocabulary import Agreement, How, Purpose


class Convention(Tagged, frozen=True, tag="convention"):
    """One convention of a target: what the experiments leave possible, and whether the declaration is among it.

    Attributes:
        field: of the conventions, or a law of the contract that is measured beside them.
        declared: what the adapter declares; agreement: whether that survives the experiments.
        possible: the values that the observations do not exclude; one: it is inferred; none: no known convention.
        interval: for a number that is located: every number in it explains the observations.
        evidence: what was observed, in a few words; reason: why several values are left, or why nothing can be observed.
        cases: the saved cases of the experiment.
    """

    backend: BackendName
    device: DeviceName
    field: Word
    declared: Any
    agreement: Agreement
    possible: tuple[Any, ...]
    interval: tuple[Number, Number] | None = None
    evidence: str = ""
    reason: str = ""
    cases: tuple[CasePath, ...] = ()

    def __post_init__(self) -> None:
        if self.agreement in ("undecided", "not observable") and not self.reason:
            raise ValueError(f"{self.field} is {self.agreement} without a reason")

    @property
    def is_inferred(self) -> bool:
        """Whether exactly one value is left."""
        return self.agreement != "not observable" and len(self.possible) == 1


class TranslatedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number or array that is handed over: how, by which formula, and why so."""

    name: Word
    how: How
    formula: str
    reason: str = ""


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One layer, translated and run on both sides.

    Attributes:
        layer: its name; exact: whether nothing was rounded when it was handed over.
        ratio: the worst |source - target| / (bound + bound); None where nothing was compared.
        elements, total: how many results were compared, of how many; worst: the output with the worst ratio.
        reason: why there is no proof; failed: whether that is a failure of a side that should run.
        deviating: where they do not agree, the sides that are not within their own bounds either, or that failed.
    """

    layer: Word
    exact: bool
    ratio: Ratio
    elements: Count = 0
    total: Count = 0
    worst: str = ""
    reason: str = ""
    failed: bool = False
    deviating: tuple[Literal["source", "target"], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether both sides agree, or there is nothing to prove."""
        return not self.failed and (bool(self.reason) or (self.ratio is not None and float(self.ratio) <= 1.0))


class Translation(Tagged, frozen=True, tag="translation"):
    """The translation of a layer from one target to another, for one purpose.

    Attributes:
        backend, device: the source; to_backend, to_device: the target of the translation.
        purpose: what the translated layer is for; count: of values per channel, where the translation holds for one only.
        exact: whether every part is copied or computed without rounding; possible: whether there is a translation at all.
        parts: everything that is handed over; needs: what must hold besides.
        proofs: layers that were run on both sides.
    """

    backend: BackendName
    device: DeviceName
    to_backend: BackendName
    to_device: DeviceName
    purpose: Purpose
    count: Ordinal | None
    possible: bool
    exact: bool
    parts: tuple[TranslatedPart, ...]
    needs: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()

    @property
    def ratio(self) -> Ratio:
        """The worst ratio of the proofs; None where nothing was compared."""
        return max((p.ratio for p in self.proofs if p.ratio is not None), key=float, default=None)

    @property
    def holds(self) -> bool:
        """Whether every proof does."""
        return all(p.holds for p in self.proofs)
