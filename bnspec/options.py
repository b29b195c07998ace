"""The options that commands share, each defined once, and the class of all commands: its help ends with an example.

    @command("verify", summary="judge backends", example="bnspec verify", params=[BACKEND, DEVICE, CLAUSE])
    def verify(command_line, backend, device, clause):
        ...

A command gets the whole call as ``command_line`` and returns the exit status. Imports that take time stand in its body, so
that ``--help`` does not wait for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from bnspec.printable import quoted, shortened

#: Of every command: -h works too, and defaults are shown.
SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


class Command(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *arguments: Any, example: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, one line a call."""
        with formatter.section("Example"):
            for call in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{call}\n")


def command(
    name: str,
    *,
    summary: str,
    example: str,
    params: Sequence[click.Parameter],
    help: str | None = None,  # noqa: A002  # click's word
) -> Callable[[Callable[..., int]], Command]:
    """Make the decorated function a command; its docstring is the help, unless ``help`` is given.

    Args:
        summary: the line of ``bnspec --help``.
        example: calls that work as written, one a line.
        params: options and arguments, in the order of the help.
    """

    def made(function: Callable[..., int]) -> Command:
        wrapped = click.pass_obj(function)
        return click.command(
            name,
            Command,
            params=list(params),
            short_help=summary,
            help=help or function.__doc__,
            example=example,
            context_settings=dict(SETTINGS),
        )(wrapped)

    return made


class Number(click.ParamType[float]):
    """A number between two ends, both included; whole where the lower end is an int. Not a number is none."""

    name = "number"

    def __init__(self, low: float, high: float = math.inf) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Fails: the text is none, or it is beyond an end."""
        kind = int if isinstance(self.low, int) else float
        try:
            number = kind(value)
        except ValueError:
            self.fail(f"{quoted(str(value))} is not a {'whole ' * (kind is int)}number", param, ctx)
        if not self.low <= number <= self.high:
            ends = f"between {self.low:g} and {self.high:.6g}" if math.isfinite(self.high) else f"at least {self.low:g}"
            self.fail(f"{shortened(str(value), 60)} is not {ends}", param, ctx)
        return number


def folder(*names: str, help: str, required: bool = False) -> click.Option:  # noqa: A002  # click's word
    """An option for a path; ``--out`` names another kind of thing in each command."""
    return click.Option(names, type=Path, metavar="DIR", help=help, required=required)


def many(*names: str, help: str, metavar: str | None = None, type: Any = None, all: str = "all") -> click.Option:  # noqa: A002  # click's words
    """A repeatable option; ``all`` says what not giving it means."""
    return click.Option(names, multiple=True, metavar=metavar, type=type, help=help, show_default=all or False)


def effort(*choices: str, default: str, help: str) -> click.Option:  # noqa: A002  # click's word
    """``--effort`` with the choices that this command has."""
    return click.Option(["--effort"], type=click.Choice(choices), default=default, help=help)


BACKEND = many(
    "--backend",
    metavar="GLOB",
    help="Select backends by name or glob, or an own adapter: package.module:Class or path/file.py:Class. Repeatable.",
)
#: The same without the word.
NAMED = click.Argument(["named"], nargs=-1, metavar="[BACKEND]...", help="Backends, as of --backend.")
DEVICE = many("--device", metavar="GLOB", help="Select devices: cpu, cuda:0, '*'. Repeatable.", all="cpu")
CLAUSE = many("--clause", metavar="GLOB", help="Select clauses or families by name or glob. Repeatable.")
SEED = click.Option(
    ["--seed"],
    type=Number(0, 999_999),
    default=1,
    metavar="N",
    help="Seed of the generated data: equal seeds, equal data.",
)
JOBS = click.Option(
    ["--jobs"],
    type=Number(1, 1024),
    default=2,
    metavar="N",
    help="Number of processes to run in parallel. Of verify: workers; from 2 on, as many more judge, one per core at most.",
)
RUN_DIRECTORY = click.Option(
    ["--out"], type=Path, metavar="DIR", help="Write the run directory here.", show_default="runs/<id>"
)


def limit(name: str, least: float, unit: str, help: str, default: str) -> click.Option:  # noqa: A002  # click's word
    """An option for a limit of a worker; without it, the limit is the usual one."""
    return click.Option([name], type=Number(least, 1e9), metavar=unit, help=help, show_default=default)


def limits(open_seconds: str = "180", case_seconds: str = "60") -> tuple[click.Option, ...]:
    """The options for the limits of a worker, with what they show as the usual ones; see ``bnspec.backends.harness.limits``."""
    opening, case = (
        "End a worker that has not opened its framework after S seconds.",
        "End a worker that has not answered a case after S seconds.",
    )
    return (
        limit("--open-seconds", 0.1, "S", opening, open_seconds),
        limit("--case-seconds", 0.1, "S", case, case_seconds),
        *OTHER_LIMITS,
    )


OTHER_LIMITS = (
    limit("--memory-gib", 0.01, "N", "End a worker with more than N GiB of resident memory.", "half of the machine's"),
    limit("--output-mib", 0.01, "N", "End a worker that has printed more than N MiB.", "64"),
    limit("--frame-mib", 0.01, "N", "Refuse an answer of a worker, with all its arrays, of more than N MiB.", "1024"),
)
LIMITS = limits()
#: Their parameter names.
LIMIT_NAMES = ("open_seconds", "case_seconds", "memory_gib", "output_mib", "frame_mib")

RESUME = folder("--resume", help="Continue the interrupted run in this directory.")
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document and nothing else.")

#: By parameter name; a test holds that no command has another option of these names.
SHARED = {"backend": BACKEND, "device": DEVICE, "clause": CLAUSE, "seed": SEED, "jobs": JOBS, "as_json": JSON}
