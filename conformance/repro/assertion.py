"""What a script asserts of a result: the statements that print what came, and fail on the deviation.

A script prints a line that begins with "got", and then fails with exit status 1 on the deviation, or ends with 0. One that
fails before prints no such line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.harness.scripts.writer import Writer

#: Statements in a framework's words.
Written = Callable[[Writer], Lines]
LIKE_X = ("y", "dx", "x", "along", "by_x", "by_dy", "third")
STATE = ("running_mean", "running_var")


def nothing(writer: Writer) -> Lines:
    """No statement."""
    return ()


@dataclass(frozen=True)
class Assertion:
    """What is asserted of a case.

    Attributes:
        names: for each step whose result is read, the variable of its y.
        wanted: the output that is read ("state": both running statistics).
        after: the statements that assert.
        between: those right after the first step that is read; before: those right before the last.
        caught: the ``except`` clauses of the last step, which may raise; none where it may not.
    """

    names: Mapping[int, str]
    wanted: str
    after: Written
    between: Written = nothing
    before: Written = nothing
    caught: Sequence[Statement] = ()

    @property
    def last(self) -> int:
        """The last step that is performed."""
        return max(self.names)


def printed(got: str, expected: str) -> str:
    """The statement that prints what came and what was expected, each an expression."""
    return f'print("got", {got}, "expected", {expected})'


def variable(writer: Writer, output: str, y: str = "y") -> str:
    """The expression of an output, of which y (and the x of an inverse) has the given name."""
    return y if output in ("y", "x") else writer.variable(output)


def brackets(index: Sequence[int]) -> str:
    """An index as it is written between brackets."""
    return ", ".join(str(k) for k in index) or "..."


def caught(kind: str, body: Lines) -> Statement:
    """An ``except`` clause that has the exception as ``error``."""
    return block(f"except {kind} as error:", body)


#: What stands after a call that is refused, as it should be.
EXPECTED = caught("Exception", ["print(repr(error))"])
