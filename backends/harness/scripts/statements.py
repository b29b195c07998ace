"""A script as data: statements with their blocks and comments, written one a line and at most 100 columns wide."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bnspec.printable import clean_line

#: The widest line of a script.
COLUMNS = 100
INDENT = "    "
OPENING, CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        text: its source in one line, without indentation; of a compound statement the header with its colon.
        body: the statements of its block. comment: what is said of it, beside it where that fits, above it otherwise.
    """

    text: str
    body: tuple[Statement, ...] = ()
    comment: str = ""


#: An assignment to several names.
JOINED = re.compile(r"[\w.]+(?:, [\w.]+)+ = ")
#: What writers give: plain text is a simple statement without a comment.
Lines = Sequence[Statement | str]


def block(header: str, body: Iterable[Statement | str]) -> Statement:
    """A compound statement."""
    return Statement(header, tuple(statements(body)))


def noted(text: str, comment: str) -> Statement:
    """A simple statement with a comment."""
    return Statement(text, (), comment)


def statements(lines: Iterable[Statement | str]) -> list[Statement]:
    """The lines as statements, one assignment each; neighbouring ``with`` blocks of the same header become one."""
    found: list[Statement] = []
    for statement in itertools.chain.from_iterable(map(apart, lines)):
        last = found[-1] if found else None
        if last and last.body and last.text == statement.text and last.text.startswith("with "):
            found[-1] = Statement(last.text, last.body + statement.body, last.comment)
        else:
            found.append(statement)
    return found


def apart(line: Statement | str) -> list[Statement]:
    """The line's statements: of ``a, b = x, y`` one for each name, unless a value reads one of the names."""
    statement = Statement(line) if isinstance(line, str) else line
    if statement.body or JOINED.match(statement.text) is None:
        return [statement]
    (node,) = ast.parse(statement.text).body
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
        return [statement]
    (target,) = node.targets
    names, values = target.elts if isinstance(target, ast.Tuple) else [], node.value.elts
    read = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    if len(names) != len(values) or {ast.unparse(n) for n in names} & read:
        return [statement]
    ends = [statement.comment, *("" for _ in values[1:])]
    parts = [(ast.unparse(n), ast.get_source_segment(statement.text, v)) for n, v in zip(names, values, strict=True)]
    return [Statement(f"{name} = {value}", (), comment) for (name, value), comment in zip(parts, ends, strict=True)]


def source(lines: Iterable[Statement | str], indent: str = "") -> list[str]:
    """The physical lines of these statements; a function stands between blank lines."""
    written: list[str] = []
    after_function = False
    for statement in statements(lines):
        is_function = statement.text.startswith("def ")
        if written and (is_function or after_function) and not indent:
            written.append("")
        after_function = is_function
        beside = f"{indent}{statement.text}  # {_said(statement.comment)}"
        if not statement.comment or len(beside) > COLUMNS:
            written += comment(statement.comment, indent)
            written += wrapped(statement.text, indent)
        else:
            written.append(beside)
        written += source(statement.body, indent + INDENT)
    return written


def comment(text: str, indent: str = "") -> list[str]:
    """A comment, wrapped; no line where there is nothing to say."""
    mark = f"{indent}# "
    return textwrap.wrap(_said(text), COLUMNS, initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False)


def _said(text: str) -> str:
    """What a comment says, in one line; never what Python would take for the encoding of the file."""
    return re.sub("coding(?=[:=])", "coding ", clean_line(text))


def count(text: str) -> int:
    """How many statements a source has: each simple statement and each header of a compound one, imports included.

    An ``except`` clause is a header of its own. Comments, and the lines that a long literal takes, do not count.
    """
    return sum(isinstance(node, (ast.stmt, ast.excepthandler)) for node in ast.walk(ast.parse(text)))


def names_read(text: str) -> set[str]:
    """The names that a source reads."""
    nodes = ast.walk(ast.parse(text))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def wrapped(text: str, indent: str) -> list[str]:
    """One statement, or a part of one between brackets, over as many lines as it needs."""
    if len(indent) + len(text) <= COLUMNS:
        return [indent + text]
    opened = _longest_group(text)
    if opened is None:
        return _split_string(text, indent)
    begin, end = opened
    items = _items(text[begin + 1 : end])
    head, tail = wrapped(text[: begin + 1], indent), wrapped(text[end:], indent)
    return [*head, *_filled(items, indent + INDENT), *tail]


def _filled(items: Sequence[str], indent: str) -> Iterator[str]:
    """Items between brackets: as many short ones in a line as fit, long ones in lines of their own."""
    line = ""
    for k, item in enumerate(items):
        text = item if k == len(items) - 1 else item + ","
        if line and len(indent) + len(line) + 1 + len(text) <= COLUMNS:
            line = f"{line} {text}"
            continue
        if line:
            yield indent + line
        line = text
        if len(indent) + len(text) > COLUMNS:
            yield from wrapped(text, indent)
            line = ""
    if line:
        yield indent + line


def _brackets(text: str) -> Iterator[tuple[int, str, int]]:
    """Each character outside of strings, with its place and the number of brackets open before it."""
    depth, quote, escaped = 0, "", False
    for k, character in enumerate(text):
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
            continue
        if character in "'\"":
            quote = character
        if character in CLOSING:
            depth = max(depth - 1, 0)
        yield k, character, depth
        if character in OPENING:
            depth += 1


def _longest_group(text: str) -> tuple[int, int] | None:
    """The places of the outer brackets with the most between them; None where nothing stands between any."""
    groups, begin = [], 0
    for k, character, depth in _brackets(text):
        if depth == 0 and character in OPENING:
            begin = k
        elif depth == 0 and character in CLOSING and k > begin + 1:
            groups.append((begin, k))
    return max(groups, key=lambda g: g[1] - g[0], default=None)


def _items(text: str) -> list[str]:
    """What stands between the commas that are outside of all brackets."""
    cuts = [k for k, character, depth in _brackets(text) if character == "," and depth == 0]
    items = [text[a:b].strip() for a, b in zip([0, *(c + 1 for c in cuts)], [*cuts, len(text)])]
    return items if items[-1] else [*items[:-2], items[-2] + ","]  # the comma of a tuple of one


def _split_string(text: str, indent: str) -> list[str]:
    """A string too long for a line as several that Python puts together; any other text as it is."""
    body, tail = (text[:-1], ",") if text.endswith(",") else (text, "")
    if not (len(body) > 2 and body[0] == body[-1] == '"'):
        return [indent + text]
    lines = [""]
    for part in re.findall(r"\\(?:x..|u.{4}|U.{8}|.)|.", body[1:-1]):  # an escape stays whole
        if len(indent) + len(lines[-1]) + len(part) + 3 > COLUMNS:
            lines.append("")
        lines[-1] += part
    pieces = [f'{indent}"{line}"' for line in lines]
    return [*pieces[:-1], pieces[-1] + tail]
