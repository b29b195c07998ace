r"""The forms that names have in cases and records: what enters a script, a path or a page as a name has one of these.

A pattern is anchored at both ends; ``$(?!\n)`` is the end in Python and in JSON Schema alike, where ``$`` alone lets a line
feed pass in Python.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import keyword
import re
from typing import Tuple

_END = r"$(?!\n)"
_WORD = "[A-Za-z_][A-Za-z0-9_]*"
_NUMBER = r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan)"
#: What is not shown, besides the control characters of ASCII: the characters up to U+FFFF of the Unicode categories Cc (control),
#: Cf (format: marks of direction, zero width), Cs (lone surrogates), Zl and Zp (separators of lines and paragraphs).
UNSEEN = (
    r"\u007f-\u009f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
)

#: An output, a call, a field: "running_var".
IDENTIFIER = "^" + _WORD + _END
#: A clause, a family, a pass: words with dots between them, "running.var".
DOTTED = r"^[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*" + _END
#: A device: a kind and its number, "cuda:0".
DEVICE = r"^[a-z]+(?::[0-9]+)?" + _END
#: An environment, as ``bnspec.backends.harness.environments.spec`` reads it: requirements with extras, fields, or a path.
_ENVIRONMENT = r"(?:[A-Za-z0-9_.,;=<>!~+*/-]|\[[a-z0-9_,-]+\]){1,150}"
ENVIRONMENT = "^" + _ENVIRONMENT + _END
#: A backend: its registered name, or an adapter of one's own, as package.module:Class or path/file.py:Class; with the environment
#: that it runs in in brackets, where that is not this program's.
BACKEND = (
    r"^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?|[^\u0000-\u001f"
    + UNSEEN
    + "]+:"
    + _WORD
    + r")(?:\["
    + _ENVIRONMENT
    + r"\])?"
    + _END
)
#: An array of a case: "x", a part "x[2:3]", or what is derived from one, "x|times:-4".
ARRAY = "^" + _WORD + r"(?:\[[0-9]+:[0-9]+\])?(?:\|[a-z_]+(?::" + _NUMBER + ")?)?" + _END
#: How results follow from those of another step: "times:-4".
RELATION = "^[a-z_]+(?::" + _NUMBER + ")?" + _END
#: What was written to or shares memory: an array, an output, or one of the call before.
WRITTEN = ARRAY
#: What was read or written outside of an array, or read in it before it was written: "writes after x", "reads stale y".
OVERRUN = "^(?:(?:reads|writes) (?:before|after)|reads stale) " + ARRAY[1:]

#: A backend's name as its parts: what is before the environment, and the environment.
_PARTS = re.compile(r"(.*[A-Za-z0-9_])\[(" + _ENVIRONMENT + r")\]", re.DOTALL)

#: Characters that a name has at most.
CHARACTERS = 200


def fits(pattern: str, text: object) -> bool:
    """Whether a text is a name of this form, and no word of Python's own."""
    return (
        isinstance(text, str)
        and len(text) <= CHARACTERS
        and re.search(pattern, text) is not None
        and not keyword.iskeyword(text)
    )


def parts_of(backend: str) -> Tuple[str, str]:
    """A backend's name without its environment, and the environment: "" where it runs in this program's."""
    found = _PARTS.fullmatch(backend)
    return (found.group(1), found.group(2)) if found else (backend, "")


def base_of(backend: str) -> str:
    """A backend's name without its environment: by it known deviations, writers of scripts and globs are found."""
    return parts_of(backend)[0]
