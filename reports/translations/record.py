"""The record of translations between any two backends, as text whose lines change only with the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from bnspec.errors import UsageError
from bnspec.reports.run.fields import Count, Word

#: Characters of a record.
TEXT_AT_MOST = 16 << 20

How = Literal["exact", "rounded", "none", "deviates", "fails"]


class Proved(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What both backends gave for a layer and its translations.

    Attributes:
        how: "exact" or "rounded": they agree; "none": there is no translation; "deviates": where they do not agree, a backend is
            not within its own bounds either, or fails; "fails": both are within their own bounds, and yet do not agree.
        layers, of: so many of the layers that were tried have a proof; agreeing: so many agree.
        ratio: the worst |source - target| / (bound + bound) of those that agree.
        why: why there is none of a layer, or what failed.
        deviating: the backends that are not within their own bounds, or fail.
    """

    how: How
    layers: Count
    of: Count
    ratio: float | Literal["inf"] | None = None
    why: str = ""
    agreeing: Count = 0
    deviating: tuple[Word, ...] = ()


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A translation for inference, and one for further training."""

    inference: Proved
    training: Proved


class OwnDeviation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a backend is not within its own bounds.

    Attributes:
        dtypes: of x, and of the parameters where they are others; results: outputs and statistics.
        clauses: that are broken there, by the conventions that the adapter declares; none, where only inferred ones ask for more.
        reasons: of the known deviations that cover it; empty where none does.
    """

    dtypes: tuple[Word, ...]
    results: tuple[Word, ...]
    clauses: tuple[Word, ...]
    reasons: tuple[str, ...] = ()


class Learnt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The conventions of a backend, as experiments found them.

    Attributes:
        differences: fields that the adapter declares otherwise.
        deviations: what is not within its bounds of the backend's own layers and of those that were translated to it.
    """

    versions: dict[Word, Word]
    conventions: dict[str, Any]
    differences: tuple[Word, ...] = ()
    deviations: tuple[OwnDeviation, ...] = ()


class AnyTwo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All backends, and every ordered pair of them by source and target; left_out: those without, with the reason."""

    specification: Word
    measured: Word
    backends: dict[Word, Learnt]
    pairs: dict[Word, dict[Word, Pair]]
    left_out: dict[Word, str] = {}


_decoder = msgspec.json.Decoder(AnyTwo)


def encode(found: AnyTwo) -> str:
    """The text of the record: a line for each convention and each pair."""
    return json.dumps(msgspec.to_builtins(found), indent=0, sort_keys=True, ensure_ascii=True) + "\n"


def decode(text: str, place: Path) -> AnyTwo:
    """The inverse of ``encode``. Raises UsageError: it is no such record."""
    try:
        if len(text) > TEXT_AT_MOST:
            raise msgspec.ValidationError(f"it has more than {TEXT_AT_MOST} characters")
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(
            f"{place} is no record of translations.", f"{error}.", "write it with make translations."
        ) from None
