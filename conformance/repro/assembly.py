"""The lines of a script put together: the steps that are needed, in order, and the layout that fits."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence

from bnspec.backends.harness.scripts.writer import Writer, names_of, python_name
from bnspec.conformance.repro.subject import Look
from bnspec.model.case import Case, Step

#: Lines are joined up to this width, and where that is not enough, up to twice as much.
WIDTH = 120


def needed(case: Case, looked_at: Sequence[int]) -> list[int]:
    """The steps to perform: for each that is looked at all since its layer was built."""
    return sorted({j for k in looked_at for j in range(case.built_at(k), k + 1)})


def pruned(case: Case, looked: Look) -> tuple[Case, Look]:
    """The case with the needed steps alone, and the look by their new numbers."""
    kept = needed(case, sorted(looked.names))
    names = {kept.index(k): name for k, name in looked.names.items()}
    return case.with_(steps=tuple(case.steps[k] for k in kept)), dataclasses.replace(looked, names=names)


@dataclasses.dataclass
class Parts:
    """A script's parts in their order: the arrays and the first layer, all calls, the look."""

    arrays: list[str]
    build: list[str]
    calls: list[str]
    after: list[str]


def parts(writer: Writer, looked: Look, raises: Callable[[Step], bool]) -> Parts:
    """The lines for the writer's case. ``raises``: whether a step ends with an exception, by what is known of the backend."""
    case, last = writer.given_case, looked.last
    build = writer.begin(0)
    arrays, calls = _arrays(writer), []
    for k, step in enumerate(case.steps[: last + 1]):
        started = writer.begin(k) if step.fresh and k > 0 else []
        performed = writer.perform(step, looked.names.get(k, "y"))
        if k == last:
            before = looked.before(writer)
            if looked.raises:
                if last == 0 and not before:
                    build, performed = [], [*build, *performed]
                performed = ["try:", *("    " + line for line in performed or ["pass"])]
            calls += [*started, *before, *performed]
            break
        if raises(step):
            performed = ["try:", *("    " + line for line in performed), *EXPECTED]
        calls += [*started, *performed, *(looked.between(writer) if k == min(looked.names) else [])]
    return Parts(arrays, build, calls, looked.after(writer))


#: What stands after a call that is refused on the way, as it should be.
EXPECTED = ("except Exception as error:", "    print(type(error).__name__)  # as it should")


def versions(writer: Writer, found: Parts, heads: Sequence[list[str]]) -> Iterator[list[str]]:
    """The script, first at its ease and then with lines joined."""
    arrays, build, calls, after = found.arrays, found.build, found.calls, found.after
    long, short = heads
    plain, opened = _imports(writer, True), [*_imports(writer, False), *writer.preamble()]
    yield [*long, *plain, *writer.preamble(), *arrays, *build, *calls, *after]
    yield [*long, *opened, *arrays, *build, *calls, *after]
    yield [*short, *opened, *arrays, *build, *calls, *after]
    yield [*short, *opened, *join(arrays, WIDTH), *build, *calls, *after]
    yield [*short, *opened, *join(arrays, WIDTH), *build, *calls, *join(after, WIDTH)]
    yield [*short, *opened, *join(arrays, 2 * WIDTH), *join(build, 2 * WIDTH), *calls, *join(after, 2 * WIDTH)]
    wide = 2 * WIDTH
    body = [*short, *opened, *join([*arrays, *build], wide), *join(fold(calls, WIDTH), wide)]
    yield [*body, *fold(join(after, wide), wide)]
    body = [*short, *opened, *join([*arrays, *build], wide), *in_line(join(fold(calls, wide), wide), WIDTH)]
    yield [*body, *in_line(fold(join(after, wide), wide), WIDTH)]
    body = [*short, *opened, *join([*arrays, *build], wide), *in_line(join(fold(calls, wide), wide), wide)]
    yield [*body, *in_line(fold(join(after, wide), wide), wide)]


def _arrays(writer: Writer) -> list[str]:
    """A line for each array that the steps take; parts of x are cut out where they are used."""
    names = list(dict.fromkeys(n for s in writer.given_case.steps if not s.call.between for n in names_of(s)))
    lines = {}
    for name in names:
        if writer.is_part(name):
            name = name.partition("[")[0]
        lines[name] = f"{python_name(name)} = {writer.array(name)}"
    return list(lines.values())


def _imports(writer: Writer, one_a_line: bool) -> list[str]:
    """The imports, one a line or in one line."""
    standard = [f"import {name}" for name in sorted({"sys", *writer.extra})]
    listed = [*standard, "import numpy as np", *writer.imports]
    if one_a_line:
        return listed
    plain = [line.removeprefix("import ") for line in listed if line.startswith("import ")]
    return ["import " + ", ".join(plain), *(line for line in listed if line.startswith("from "))]


#: Names, the tuple that they are assigned, and a comment. What is joined assigns as many values as names, by its making.
_ASSIGNMENT = re.compile(r"^([\w.]+(?:, [\w.]+)*) = ([^#]*?)(?:  # (.*))?$")


def join(lines: Sequence[str], width: int) -> list[str]:
    """Neighbouring assignments in one line each, where they do not read each other and fit."""
    groups: list[list[re.Match[str]]] = []
    joined: list[str] = []
    for line in lines:
        now = _ASSIGNMENT.match(line)
        if now and not _is_even(now):
            now = None
        group = groups[-1] if groups else []
        fits = bool(joined) and len(joined[-1]) + len(line) <= width
        if now and group and fits and not any(_reads(now, m) for m in group):
            group.append(now)
            comments = "; ".join(m[3] for m in group if m[3])
            text = ", ".join(m[1] for m in group) + " = " + ", ".join(m[2] for m in group)
            joined[-1] = f"{text}  # {comments}" if comments else text
        else:
            groups.append([now] if now else [])
            joined.append(line)
    return joined


def _is_even(found: re.Match[str]) -> bool:
    """Whether as many values as names stand there, and none is a lambda, whose body would take the next value in."""
    depth, values = 0, 1
    for character in found[2]:
        depth += (character in "([{") - (character in ")]}")
        values += character == "," and depth == 0
    return values == len(found[1].split(", ")) and not found[2].startswith("lambda")


def _reads(now: re.Match[str], before: re.Match[str]) -> bool:
    """Whether an assignment needs, in its values or its targets, what the one before it assigns."""
    names = before[1].split(", ")
    return any(re.search(rf"\b{re.escape(name)}\b", now[1] + " " + now[2]) for name in names)


_COMPOUND = re.compile(r"(if|with|for|try|def|except|else|class)\b|@")


def fold(lines: Sequence[str], width: int) -> list[str]:
    """Blocks of simple statements in the line of their header, where they fit; inner blocks first."""
    folded: list[str] = []
    for line in reversed(lines):
        depth, block = _depth(line), []
        if line.endswith(":"):
            for after in folded:
                if _depth(after) <= depth:
                    break
                block.append(after)
        text = f"{line} " + "; ".join(b.strip() for b in block)
        if block and len(text) <= width and all(_is_simple(b) for b in block) and not _is_commented(block[:-1]):
            folded[: len(block)] = [text]
        else:
            folded.insert(0, line)
    return folded


def in_line(lines: Sequence[str], width: int) -> list[str]:
    """Neighbouring simple statements in one line, where they fit."""
    joined: list[str] = []
    for line in lines:
        before = joined[-1] if joined else ""
        alike = before and _depth(before) == _depth(line) and _is_simple(before) and _is_simple(line)
        text = f"{before}; {line.strip()}"
        if alike and len(text) <= width and not _is_commented([before]):
            joined[-1] = text
        else:
            joined.append(line)
    return joined


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_simple(line: str) -> bool:
    """Whether the line is a simple statement, after which another may follow."""
    return not _COMPOUND.match(line.strip())


def _is_commented(lines: Sequence[str]) -> bool:
    return any("  # " in line for line in lines)
