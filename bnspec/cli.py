"""The command line: finds each folder's commands through entry points and imports none until it is asked."""

from __future__ import annotations

import argparse
import difflib
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from bnspec import __version__
from bnspec.errors import BnspecError

GROUP = "bnspec.commands"
CONFORMS, DEVIATES, USAGE, FAILED = 0, 1, 2, 3

#: One line each, so that the overview imports nothing; commands of others are listed by name.
SUMMARIES = {
    "backends": "every backend and device: ready, or why not",
    "verify": "judge backends by the specification",
    "conventions": "a backend's conventions, inferred; with --to its translation to another, proved",
    "explain": "a clause: text, formula, source, what it catches",
    "repro": "a deviation as a script of at most 15 statements, with only the framework and NumPy",
    "vectors": "hard cases with exact expected values, for implementations in any language",
    "stability": "how errors grow with |mean| / std and with the count",
    "mutants": "the planted defects and who catches them",
    "bench": "time backends; every row carries the verdict of its own outputs",
    "calibrate": "what this machine can tell apart: false alarms, and the least effect that is found",
    "cheats": "backends that do not do the work they are timed for, and the probes that tell",
    "report": "the page of a run",
    "export": "a run's timings for pytest-benchmark, asv, Bencher, spreadsheets",
}


@dataclass(frozen=True)
class Command:
    """A command: its help with an example, its arguments, and what it does.

    ``run`` gets the parsed arguments, with the whole call as ``command_line``, and returns the exit status.
    """

    help: str
    example: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def seed_number(text: str) -> int:
    """An argument's text as a seed. Raises ArgumentTypeError: it is none."""
    if not (text.isdecimal() and int(text) < 10**6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number between 0 and 999999")
    return int(text)


def positive_number(text: str) -> int:
    """An argument's text as a whole number of at least 1. Raises ArgumentTypeError: it is none."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """argparse whose errors say what, why and how to fix, as all of ours do."""

    def error(self, message: str) -> None:  # type: ignore[override]  # never returns, like its parent
        self.exit(USAGE, f"{self.prog}: {message}.\n  Fix:  {self.prog} --help shows the arguments with an example.\n")


def overview(commands: Sequence[str]) -> str:
    """The text of ``bnspec --help``."""
    width = max(map(len, commands), default=0)
    lines = [f"  {name:<{width}}  {SUMMARIES.get(name, '')}".rstrip() for name in commands]
    return "\n".join(
        [
            f"bnspec {__version__}: conformance suite and benchmark harness for batch and input normalization",
            "",
            "usage: bnspec COMMAND [...]      bnspec COMMAND --help shows its arguments with an example",
            "",
            *lines,
            "",
            "exit status: 0 all conforms, 1 deviations found, 2 the call was wrong, 3 the harness could not do its work",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    found = {e.name: e for e in entry_points(group=GROUP)}
    names = [n for n in SUMMARIES if n in found] + sorted(set(found) - set(SUMMARIES))
    if not words or words[0] in ("-h", "--help"):
        print(overview(names))
        return CONFORMS if words else USAGE
    if words[0] == "--version":
        print(__version__)
        return CONFORMS
    if words[0] not in found:
        near = difflib.get_close_matches(words[0], names, 1)
        hint = f"did you mean {near[0]}?" if near else "bnspec --help lists them."
        sys.stderr.write(f"bnspec: no command {words[0]!r}.\n  Why:  known are {', '.join(names)}.\n  Fix:  {hint}\n")
        return USAGE
    return _run(found[words[0]], words[1:])


def _run(entry: EntryPoint, words: Sequence[str]) -> int:
    command: Command = entry.load()
    parser = _Parser(
        prog=f"bnspec {entry.name}",
        description=command.help,
        epilog="example:\n  " + command.example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.configure(parser)
    try:
        arguments = parser.parse_args(words)
        arguments.command_line = shlex.join(["bnspec", entry.name, *words])
        return command.run(arguments)
    except BnspecError as error:
        sys.stderr.write(f"bnspec {entry.name}: {error}\n")
        return error.exit_status
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write(f"bnspec {entry.name}: interrupted\n")
        return FAILED
