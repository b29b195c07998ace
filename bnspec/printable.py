"""Text of others as it may be shown and recorded: nothing in it moves a cursor, hides, or turns the direction of what stands beside it.

``clean`` is applied where text leaves the suite or is stored: the console (``bnspec.terminal.console``), the messages of
errors (``bnspec.cli``), records (``bnspec.reports.run.codec``), pages, exports and scripts.
"""

from __future__ import annotations

import re

#: What stands in place of a character that is not shown.
REPLACEMENT = "\ufffd"
#: The characters of the Unicode categories Cc (control), Cf (format: marks of direction, zero width), Cs (lone surrogates), Zl
#: and Zp (separators of lines and paragraphs), but for the line feed and the tab.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)


def clean(text: str) -> str:
    """The text with a replacement character for each control character; line feeds and tabs stay."""
    return _CONTROL.sub(REPLACEMENT, text)


def clean_line(text: str) -> str:
    """The text in one line: clean, and one blank for every run of blanks, tabs and line feeds."""
    return " ".join(clean(text).split())
