"""The types of fields that records share, and the base of every record."""

from __future__ import annotations

from typing import Annotated

import msgspec

Word = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
#: A number from 1 on.
Ordinal = Annotated[int, msgspec.Meta(ge=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
#: A number that may be infinite or no number: JSON has neither, so they are words.
Number = float | Annotated[str, msgspec.Meta(pattern="^(inf|-inf|nan)$")]
#: error / bound; infinite is the word "inf"; None where nothing was judged.
Ratio = Amount | Annotated[str, msgspec.Meta(pattern="^inf$")] | None
#: The path of a saved case, relative to the run directory.
CasePath = Annotated[str, msgspec.Meta(pattern=r"^cases/[A-Za-z0-9_-]+\.json$")]


class Tagged(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """The base of all records: a line of JSON that begins with its kind. Unknown fields are refused."""
