"""The command line: finds each folder's commands through entry points, and loads them when they are called or listed."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click

from bnspec import __version__
from bnspec.errors import BnspecError, HarnessError, Interrupted, UsageError
from bnspec.options import SETTINGS
from bnspec.printable import clean, shortened

GROUP = "bnspec.commands"
CONFORMS, DEVIATES, USAGE, FAILED = 0, 1, 2, 3
#: 128 + SIGINT, as shells have it.
INTERRUPTED = 130
#: What to do about some errors of the system, by their number.
SYSTEM_FIXES = {
    errno.ENOSPC: "make room on the disk, then call it again; an interrupted run goes on with --resume.",
    errno.EDQUOT: "make room in your quota, then call it again; an interrupted run goes on with --resume.",
    errno.ENAMETOOLONG: "use a shorter path.",
    errno.ENOENT: "check the path; the current directory may have been deleted: cd to another one.",
    errno.EAGAIN: "end other processes, or use fewer --jobs.",
    errno.EMFILE: "use fewer --jobs, or raise the limit of open files: ulimit -n.",
}
#: What is wrong with a path, and no state of the machine: where the call names the path, the call is wrong.
OF_A_PATH = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
STATUSES = (
    "Exit status: 0 all conforms, 1 deviations found, 2 the call is wrong, 3 the harness could not do its work.\n"
    "bnspec COMMAND --help shows the options of a command with an example."
)


class Commands(click.Group):
    """All commands of the entry-point group, each a ``click.Command``; other packages may add theirs."""

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """The entry points by name."""
        return {e.name: e for e in sorted(entry_points(group=GROUP), key=lambda e: (_room(e), e.name))}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, room by room."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None: there is none of this name."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        loaded = entry.load()
        if not isinstance(loaded, click.Command):
            raise UsageError(
                f"the command {entry.name} cannot be used.",
                f"{entry.value} is a {type(loaded).__name__}, not a click.Command.",
                "correct or remove the package that provides it.",
            )
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called. Raises UsageError: there is none of this name."""
        if args[0] in self.entries or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        hint = _nearest(args[0], self.entries) or "bnspec --help lists the commands."
        raise UsageError(f"no command {args[0]!r}.", f"the commands are {', '.join(self.entries)}.", hint)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview: a section for each folder that has commands, then the exit statuses."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            rows.setdefault(_room(entry), []).append((name, _summary(entry)))
        widest = max((len(name) for name in self.entries), default=0)
        for room, listed in rows.items():
            with formatter.section(room.capitalize()):
                formatter.write_dl([(f"{name:<{widest}}", summary) for name, summary in listed])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the exit statuses mean, and an example."""
        formatter.write(f"\n{STATUSES}\n")
        with formatter.section("Example"):
            formatter.write("  bnspec verify --backend numpy --effort quick\n")


def _room(entry: EntryPoint) -> str:
    """The folder that a command comes from; the package, if it is not one of ours."""
    first, _, rest = entry.module.partition(".")
    return rest.partition(".")[0] if first == "bnspec" else first


def _summary(entry: EntryPoint) -> str:
    """The command's line in the overview; a package of others that is broken spoils only its own line."""
    try:
        loaded = entry.load()
    except Exception as error:  # noqa: BLE001  # whatever a foreign module raises when it is imported
        return f"cannot be loaded: {error!r}"
    return loaded.get_short_help_str(100) if isinstance(loaded, click.Command) else "is not a click.Command"


@click.group(cls=Commands, invoke_without_command=True, context_settings=SETTINGS)
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def bnspec(context: click.Context) -> int:
    """Conformance suite and benchmark harness for batch normalization and input normalization."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return USAGE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors go to standard error as what, Why and Fix."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:  # no Python that is started from here takes modules from the current folder, or its script's
        os.environ.setdefault("PYTHONSAFEPATH", "1")
    name = words[0] if words else ""
    called = f"bnspec {name}" if name in bnspec.entries else "bnspec"
    status = _run(words, name, called)
    try:
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # what is left in the buffer is dropped without a word
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status if status >= FAILED else _refused(called, unforeseen(error))
    return status


def _run(words: Sequence[str], name: str, called: str) -> int:
    """The exit status of the command."""
    try:
        with bnspec.make_context("bnspec", list(words), obj=shlex.join(["bnspec", *words])) as context:
            return int(bnspec.invoke(context))
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _refused(called, explained(error, name))
    except BnspecError as error:
        return _refused(called, error)
    except Interrupted as end:
        sys.stderr.write(clean(f"{called}: {end}\n"))
        return end.exit_status
    except KeyboardInterrupt:
        sys.stderr.write(f"{called}: interrupted\n")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # exit status 1 would say that a backend deviates
        return _refused(called, wrong_path(error, words) or unforeseen(error))


def _refused(called: str, error: BnspecError) -> int:
    with contextlib.suppress(OSError, ValueError):  # nobody can read it: the exit status is left
        why, fix = error.why or "it says no more.", error.fix or "bnspec COMMAND --help shows an example of the call."
        said = BnspecError(shortened(error.what, at_most=500), shortened(why), fix)
        sys.stderr.write(clean(f"{called}: {said}\n"))
    return error.exit_status


def wrong_path(error: Exception, words: Sequence[str]) -> UsageError | None:
    """The system's refusal of a path that the call names, or of what lies below it; None of any other error."""
    if not isinstance(error, OSError) or error.errno not in OF_A_PATH or not isinstance(error.filename, str):
        return None
    named = (Path(word.partition("=")[2] if word.startswith("-") else word) for word in words)
    place = Path(error.filename)
    if not any(path.parts and place.is_relative_to(path) for path in named):
        return None
    fix = "name a path that you may read and write, or see to its permissions."
    return UsageError(f"{place} cannot be used.", f"{error.strerror}.", fix)


def unforeseen(error: Exception) -> HarnessError:
    """Any other exception as what, why and fix; its traceback is printed where ``BNSPEC_TRACEBACK`` is set."""
    if os.environ.get("BNSPEC_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        return HarnessError(
            "the output cannot be written.", "what reads it has ended.", "read it to the end, or use --out."
        )
    if isinstance(error, OSError):
        what = f"{error.filename!s:.200} cannot be used." if error.filename else "the system refused something."
        fix = SYSTEM_FIXES.get(
            error.errno or 0, "check the path, its permissions and the room on its disk; then call it again."
        )
        return HarnessError(what, f"{error.strerror or type(error).__name__}.", fix)
    if isinstance(error, MemoryError):
        return HarnessError(
            "there is not enough memory.", "an allocation failed.", "use fewer --jobs, or a smaller --effort."
        )
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return HarnessError(
        f"internal error: {said}.",
        "this was not foreseen.",
        "set BNSPEC_TRACEBACK=1, call it again, and report what it prints.",
    )


def explained(error: click.UsageError, name: str) -> UsageError:
    """click's error in a call of the command of this name as what, why and fix."""
    top = click.Context(bnspec, info_name="bnspec")
    command = bnspec.get_command(top, name)
    context = click.Context(command, top, command.name) if command else top
    show = f"{context.command_path} --help shows the options with an example."
    options = {o: p for p in context.command.params if isinstance(p, click.Option) for o in p.opts if not p.hidden}
    if isinstance(error, click.NoSuchOption):
        what = f"no option {error.option_name}"
        return UsageError(
            f"{what}.",
            f"the options are {', '.join(options)}.",
            f"{_nearest(error.option_name, options)} {show}".strip(),
        )
    if isinstance(error, click.BadOptionUsage):
        parameter: click.Parameter | None = options.get(error.option_name)
        what = _sentence(error.message)
    elif isinstance(error, click.BadParameter) and error.param is not None:
        parameter = error.param
        word = parameter.opts[-1] if isinstance(parameter, click.Option) else str(parameter.name).upper()
        missing = isinstance(error, click.MissingParameter)
        what = f"{word} is missing." if missing else f"{word}: {_sentence(error.message)}"
    else:
        parameter, what = None, _sentence(error.format_message())
    meaning = getattr(parameter, "help", None)
    usage = context.get_usage().removeprefix("Usage: ")
    return UsageError(what, f"the help says: {meaning}" if meaning else f"the usage is {usage}.", show)


def _sentence(words: str) -> str:
    """click's message as ours: it goes on after a colon, and ends with a full stop."""
    return words[:1].lower() + words[1:].rstrip(".") + "."


def _nearest(word: str, known: Iterable[str]) -> str:
    """A question for what was probably meant; empty if nothing is near."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else ""
