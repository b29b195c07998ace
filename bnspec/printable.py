"""Text of others as it may be shown and recorded: nothing in it moves a cursor, hides, or turns the direction of what stands beside it.

``clean`` is applied where text leaves the suite or is stored: the console (``bnspec.terminal.console``), the messages of
errors (``bnspec.cli``), records (``bnspec.reports.run.codec``), pages, exports and scripts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bnspec.model.names import UNSEEN

#: What stands in place of a character that is not shown.
REPLACEMENT = "\ufffd"
#: What is not shown, but for the line feed and the tab: beyond U+FFFF the characters of the category Cf.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f"
    + UNSEEN
    + r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)


def clean(text: str) -> str:
    """The text with a replacement character for each control character; line feeds and tabs stay."""
    return _CONTROL.sub(REPLACEMENT, text)


def quoted(text: str, at_most: int = 60) -> str:
    """The text as Python writes it; of a long one its beginning, with its length."""
    return repr(text) if len(text) <= at_most else f"{text[:at_most]!r}... ({len(text)} characters)"


def shortened(text: str, word: int = 200, at_most: int = 1500) -> str:
    """The text as a message echoes it: of very long words the beginning, and of all no more than so many characters."""
    cut = re.sub(rf"\S{{{word + 1},}}", lambda m: f"{m[0][:60]}... ({len(m[0])} characters)", text)
    return cut if len(cut) <= at_most else f"{cut[:at_most]}... ({len(cut)} characters)"


def some(names: Sequence[str], at_most: int = 5) -> str:
    """Names in a sentence: of many the first, and how many more there are."""
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")


def clean_line(text: str) -> str:
    """The text in one line: clean, and one blank for every run of blanks, tabs and line feeds."""
    return " ".join(clean(text).split())
