"""The types of fields that records share, and the base of every record."""

from __future__ import annotations

from typing import Annotated

import msgspec

from bnspec.model import names

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
#: Names of known forms: what a program looks up, writes into a script or makes a file's name of.
Identifier = Annotated[str, msgspec.Meta(pattern=names.IDENTIFIER, max_length=names.CHARACTERS)]
Dotted = Annotated[str, msgspec.Meta(pattern=names.DOTTED, max_length=names.CHARACTERS)]
BackendName = Annotated[str, msgspec.Meta(pattern=names.BACKEND, max_length=names.CHARACTERS)]
DeviceName = Annotated[str, msgspec.Meta(pattern=names.DEVICE, max_length=names.CHARACTERS)]
#: An array of a case, or an output, of this call or the one before.
ArrayName = Annotated[str, msgspec.Meta(pattern=names.WRITTEN, max_length=names.CHARACTERS)]
#: Whole numbers are below 2^63: larger ones count nothing, and overflow what is computed with them.
LARGEST = 2**63 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
#: A number from 1 on.
Ordinal = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
#: An extent of an array.
Extent = Annotated[int, msgspec.Meta(ge=0, le=2**48)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
#: A number that may be infinite or no number: JSON has neither, so they are words.
Number = float | Annotated[str, msgspec.Meta(pattern=r"^(inf|-inf|nan)$(?!\n)")]
#: error / bound; infinite is the word "inf"; None where nothing was judged.
Ratio = Amount | Annotated[str, msgspec.Meta(pattern=r"^inf$(?!\n)")] | None
#: The path of a saved case, relative to the run directory.
CasePath = Annotated[str, msgspec.Meta(pattern=r"^cases/[A-Za-z0-9_-]+\.json$(?!\n)")]


class Tagged(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """The base of all records: a line of JSON that begins with its kind. Unknown fields are refused."""
