"""The inferred conventions of a backend, and a proven translation to another one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from bnspec.conformance.conventions.plan import Inference
from bnspec.conformance.conventions.proof import Proven
from bnspec.translation.parts import Translation


@dataclasses.dataclass(frozen=True)
class InferredConventions:
    """The inferred conventions of one backend.

    Attributes:
        backend, device, versions, framework: which one.
        inference: what the experiments found.
        name: backend@device.
    """

    backend: str
    device: str
    versions: Mapping[str, str]
    inference: Inference
    framework: str = ""

    @property
    def name(self) -> str:
        return f"{self.backend}@{self.device}"


@dataclasses.dataclass(frozen=True)
class ProvenTranslation:
    """A translation to another backend, with its proofs.

    Attributes:
        to: the other one.
        general: for the ordinary layer, whatever the batches; fixed: for batches of ``count`` values per channel.
        count: elements per channel in ``fixed`` and in the proofs.
        proven: the proofs.
        holds: whether every proof does.
    """

    to: InferredConventions
    general: Translation
    fixed: Translation
    count: int
    proven: Proven

    @property
    def holds(self) -> bool:
        return all(p.holds for p in (*self.proven.inference, *self.proven.training))
