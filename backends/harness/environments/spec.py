"""What an environment is asked to hold, and its one text form.

    jax==0.4.20                                               a release, with what it needs as it was at its time
    jax==0.4.20,jaxlib==0.4.20;python=3.11;before=2024-01-01   requirements, a Python, and a date
    /opt/venv/bin/python                                       a Python that is there already

A comma separates requirements, and goes on with the one before where an operator follows: ``jax>=0.4,<0.5``. The text is the
name of the environment, in brackets behind that of the backend: ``jax.numpy[jax==0.4.20]``.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import cached_property

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from bnspec.errors import UsageError
from bnspec.model.names import ENVIRONMENT, fits

#: A requirement that is for all: no URL, no path, no marker.
FORM = (
    "a specification is requirements, and after a semicolon python=3.11 or before=2024-01-01; or the path of a Python"
)
FIX = "write for example jax==0.4.20, or jax==0.4.20,jaxlib==0.4.20;python=3.11;before=2024-01-01."
PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")
#: How a path begins, where it is no word; and what a path has only behind such a beginning.
PATHS, OPERATORS = ("/", "./", "../"), re.compile("[;,<>=~!*]")
#: A comma before the name of a package.
BETWEEN = re.compile(r",\s*(?=[A-Za-z0-9])")


@dataclass(frozen=True)
class EnvironmentSpec:
    """What an environment is asked to hold.

    Attributes:
        requirements: as PEP 508 writes them, without markers and URLs.
        python: its version, "3.11" or "3.11.7"; "" for one that fits.
        before: a date: of what is not pinned, no release after it; "" where the specification names none.
        interpreter: the path of a Python; then there is nothing else.
        text: the form in which it is written; pinned: name and version of the requirements that allow one release.
    """

    requirements: tuple[str, ...] = ()
    python: str = ""
    before: str = ""
    interpreter: str = ""

    @property
    def text(self) -> str:
        """Its text, which ``parse`` reads."""
        if self.interpreter:
            return self.interpreter
        fields = [f"{name}={value}" for name in ("python", "before") if (value := getattr(self, name))]
        return ";".join([",".join(self.requirements), *fields])

    @cached_property
    def parsed(self) -> tuple[Requirement, ...]:
        """The requirements, parsed."""
        return tuple(Requirement(text) for text in self.requirements)

    @cached_property
    def pinned(self) -> dict[str, Version]:
        """The packages of which one release is asked for."""
        return {canonicalize_name(r.name): v for r in self.parsed if (v := pin(r)) is not None}

    @property
    def fixed(self) -> bool:
        """Whether it means the same releases tomorrow: everything that it names is pinned, or of before a date."""
        return bool(self.before) or len(self.pinned) == len(self.requirements)


def pin(requirement: Requirement) -> Version | None:
    """The one release that a requirement allows; None where it allows several."""
    exact = [c.version for c in requirement.specifier if c.operator == "==" and not c.version.endswith(".*")]
    return Version(exact[0]) if len(exact) == 1 else None


def parse(text: str) -> EnvironmentSpec:
    """The specification that a text writes. Raises UsageError: it writes none."""
    words = text.strip()
    if not fits(ENVIRONMENT, words):
        raise UsageError(f"{text!r} names no environment.", f"{FORM}, in at most 150 characters.", FIX)
    if "/" in words and (words.startswith(PATHS) or not OPERATORS.search(words)):
        return EnvironmentSpec(interpreter=words)
    listed, *fields = words.split(";")
    python = before = ""
    for field in fields:
        name, _, value = (part.strip() for part in field.partition("="))
        if name == "python" and PYTHON.fullmatch(value):
            python = value
        elif name == "before" and _is_date(value):
            before = value
        else:
            raise UsageError(f"{field!r} in {text!r} says nothing of an environment.", f"{FORM}.", FIX)
    return EnvironmentSpec(tuple(_requirement(part, text) for part in BETWEEN.split(listed)), python, before)


def _requirement(part: str, text: str) -> str:
    try:
        requirement = Requirement(part)
    except InvalidRequirement as error:
        why = f"{part!r} is no requirement: {str(error).partition(chr(10))[0]}"
        raise UsageError(f"{text!r} names no environment.", f"{why}; {FORM}.", FIX) from None
    return f"{requirement.name}{_extras(requirement)}{_specifier(requirement)}"


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _specifier(requirement: Requirement) -> str:
    """As it was written, lower bounds first: the same requirement is the same text."""
    order = {"==": 0, "===": 0, "~=": 1, ">": 2, ">=": 2}
    return ",".join(str(s) for s in sorted(requirement.specifier, key=lambda s: (order.get(s.operator, 3), str(s))))


def _is_date(value: str) -> bool:
    try:
        return datetime.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
