"""The record of bits: digests of what a target gave for the catalogue's cases, which are the same for every seed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bnspec.model import names
from bnspec.reports.run.fields import BackendName, DeviceName, Identifier, Tagged

CaseId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{12}$(?!\n)")]
#: 64 bits of a SHA-256 digest.
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$(?!\n)")]
#: How steps ended that did not return: "2 error ValueError", "5 declined"; several with ", " between them.
Endings = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]+ [a-z]+(?: [A-Za-z_][A-Za-z0-9_.]*)?(?:, [0-9]+ [a-z]+(?: [A-Za-z_][A-Za-z0-9_.]*)?)*$(?!\n)",
        max_length=200 * names.CHARACTERS,
    ),
]


class CaseBits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Of one case.

    Attributes:
        outputs: by output or state, a digest of it over all steps: values in C order, dtype and shape; all NaN are one.
        endings: how the steps ended that gave nothing; empty where all returned.
    """

    outputs: dict[Identifier, Digest] = {}
    endings: Endings | None = None


class Bits(Tagged, frozen=True, tag="bits"):
    """The bits of a target's results, by case.

    They are compared between equal machines only: libraries choose their instructions by the processor.
    """

    backend: BackendName
    device: DeviceName
    cases: dict[CaseId, CaseBits]
