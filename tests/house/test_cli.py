"""What the command line promises for every command: help at once, an example, errors that say how to fix the call."""

from __future__ import annotations

import errno
import importlib.util
import json
import re
import resource
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest

from bnspec.backends.harness.folders import backend_folders
from bnspec.cli import bnspec as group
from bnspec.cli import main
from bnspec.errors import HarnessError, Interrupted, UsageError
from bnspec.options import SHARED

PYPROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
COMMANDS = sorted(PYPROJECT["project"]["entry-points"]["bnspec.commands"])
FRAMEWORKS = tuple(package for folder in backend_folders() for package in folder.imports)
#: A backend of each framework.
GATED = tuple(name for folder in backend_folders() for name in folder.gate)

#: Modules that take time to import: none of them is needed to print help.
HEAVY = (
    *FRAMEWORKS,
    "numpy",
    "scipy",
    "hypothesis",
    "jinja2",
    "jsonschema",
    "msgspec",
    "rich",
    "flint",
    "numpy_quaddtype",
)

#: Seconds of processor time. What is promised, and what is asserted: a shared machine may be three times slower than the one it was set on.
PROMISED, ASSERTED = 0.3, 1.0
#: A command may have an option of a shared name and another meaning only for a reason.
OWN = {
    ("calibrate", "backend"): "times numpy by default, not all",
    ("cheats", "backend"): "times numpy by default, not all",
    ("conventions", "backend"): "one backend, as an argument",
    ("conventions", "device"): "one device",
    ("judge", "device"): "one device",
    ("stability", "backend"): "an argument",
    ("explain", "clause"): "an argument",
    ("bisect", "backend"): "one backend",
    ("bisect", "device"): "one device",
    ("bisect", "clause"): "one clause, and no family",
    ("mutants", "seed"): "repeatable: the matrix is run on several seeds",
    ("mutants", "device"): "one device",
    ("mutants", "backend"): "the one that holds the arrays of mutants there",
}


@pytest.fixture
def bnspec(tmp_path: Path, environment: dict[str, str]) -> Any:
    """Run ``bnspec`` with these words, away from the checkout."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bnspec", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def processor_seconds(call: Any, *words: str) -> float:
    """The processor time of a call, system and user: a busy machine makes it wait, not compute."""

    def children() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = children()
    end = call(*words)
    assert end.returncode == 0, end.stderr
    return children() - before


def test_the_overview_lists_every_command_and_the_exit_statuses(bnspec: Any) -> None:
    """A newcomer's first call shows all commands, each with a summary."""
    end = bnspec("--help")
    assert end.returncode == 0
    assert "Exit status: 0 all conforms" in end.stdout
    listed = dict(re.findall(r"^  ([a-z]+) +(\S.*)$", end.stdout, re.MULTILINE))
    assert listed.keys() >= set(COMMANDS)
    assert "bnspec verify --backend" in end.stdout.splitlines()[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example(command: str, bnspec: Any) -> None:
    """The example is a line that can be pasted."""
    end = bnspec(command, "--help")
    assert (end.returncode, end.stderr) == (0, "")
    _, _, example = end.stdout.partition("Example:")
    assert f"bnspec {command}" in example


@pytest.mark.parametrize("words", [["--help"], *([c, "--help"] for c in COMMANDS)], ids=" ".join)
def test_help_comes_at_once(words: list[str], bnspec: Any, record_property: Any) -> None:
    """No command imports what only its run needs."""
    taken = processor_seconds(bnspec, *words)
    record_property("processor_seconds", taken)
    sys.stdout.write(f"bnspec {' '.join(words)}: {taken:.2f} s, promised {PROMISED} s\n")
    assert taken < ASSERTED


def test_an_unknown_command_is_refused_with_what_why_and_fix(bnspec: Any) -> None:
    """A mistyped command names its neighbour."""
    end = bnspec("verfy")
    assert (end.returncode, end.stdout) == (2, "")
    assert "no command 'verfy'" in end.stderr
    assert "Why:" in end.stderr
    assert "Fix:  did you mean verify?" in end.stderr


def test_no_command_at_all_shows_the_overview_and_is_a_wrong_call(bnspec: Any) -> None:
    """A script that lost its arguments must not look green."""
    end = bnspec()
    assert end.returncode == 2
    assert "Usage: bnspec" in end.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_refused_with_a_way_to_fix_it(command: str, bnspec: Any) -> None:
    """Exit status 2, nothing on standard output, no traceback."""
    end = bnspec(command, "--no-such-argument")
    assert (end.returncode, end.stdout) == (2, "")
    assert "Fix:" in end.stderr
    assert "Traceback" not in end.stderr


@pytest.mark.parametrize("words", [["--help"], *([c, "--help"] for c in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str], tmp_path: Path, environment: dict[str, str]) -> None:
    """Neither a framework nor NumPy, whether or not it is installed: that is why help comes at once."""
    program = f"from bnspec.cli import main\nassert main({words!r}) == 0\n"
    assert loaded_by(program, HEAVY, tmp_path, environment) == []


@pytest.mark.skipif(
    not any(importlib.util.find_spec(name) for name in FRAMEWORKS),
    reason="no framework is installed that could be loaded",
)
@pytest.mark.parametrize(
    "patterns", [pytest.param(GATED, id="gate"), pytest.param((), id="all", marks=pytest.mark.slow)]
)
def test_opening_backends_loads_no_framework_here(
    patterns: tuple[str, ...], tmp_path: Path, environment: dict[str, str]
) -> None:
    """Frameworks live in workers, even when each of them is opened and asked for its devices."""
    words = ["backends", "--json", *(f"--backend={name}" for name in patterns)]
    program = f"from bnspec.cli import main\nassert main({words!r}) == 0\n"
    assert loaded_by(program, FRAMEWORKS, tmp_path, environment) == []


def loaded_by(program: str, names: tuple[str, ...], place: Path, environment: dict[str, str]) -> list[str]:
    """Which of these modules a Python process has loaded after it has run the program."""
    report = f"import json, sys\nsys.stderr.write(json.dumps([m for m in {names!r} if m in sys.modules]))\n"
    command = [sys.executable, "-c", program + report]
    end = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
    loaded: list[str] = json.loads(end.stderr.splitlines()[-1])
    return loaded


# --- in this process --------------------------------------------------------------------------------------------------


def command_of(name: str) -> click.Command:
    """A command, loaded."""
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_shared_options_are_the_same_object_in_every_command(name: str) -> None:
    """An option is defined once; another one of its name stands in the table above, with the reason."""
    for parameter in command_of(name).params:
        if (name, parameter.name) not in OWN and parameter.name in SHARED:
            assert parameter is SHARED[str(parameter.name)], f"{name} defines its own {parameter.opts[0]}"


def test_no_reason_for_an_own_option_is_out_of_date() -> None:
    """Each entry of the table names a parameter that exists and is not the shared one."""
    own = [(c, p) for c, p in OWN if {q.name: q for q in command_of(c).params}.get(p, SHARED[p]) is SHARED[p]]
    assert own == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_is_explained(name: str) -> None:
    """A sentence each, and a summary that fits on the line of the overview."""
    command = command_of(name)
    unexplained = [p.opts[0] for p in command.params if not getattr(p, "hidden", False) and not getattr(p, "help", "")]
    assert unexplained == []
    assert command.short_help
    assert len(command.short_help) < 80


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["verify", "--efort", "quick"], "no option --efort", "did you mean --effort?"),
        (["verify", "--effort", "fast"], "--effort: 'fast' is not one of", "bnspec verify --help"),
        (["verify", "--seed", "-1"], "--seed: -1 is not between 0 and 999999", "bnspec verify --help"),
        (["verify", "--seed", "1.5"], "--seed: '1.5' is not a whole number", "bnspec verify --help"),
        (["verify", "--minutes", "nan"], "--minutes: nan is not at least 0", "bnspec verify --help"),
        (["explain", "--markdown", "--json"], "--markdown and --json are given together", "all but --markdown"),
        (["explain", "--deviations", "--json"], "--deviations and --json are given together", "all but --deviations"),
        (["explain", "--markdown", "--deviations"], "--markdown and --deviations are given", "all but --markdown"),
        (["explain", "--deviations", "running"], "--deviations is given with clauses", "or --deviations"),
        (["verify", "--seed"], "option '--seed' requires an argument", "bnspec verify --help"),
        (["calibrate", "numpy"], "got unexpected extra argument (numpy)", "bnspec calibrate --help"),
        (["bench", "--resolution", "nan"], "--resolution: nan is not between", "bnspec bench --help"),
        (["conventions"], "BACKEND is missing", "bnspec conventions --help"),
        (["export", "run"], "--to is missing", "bnspec export --help"),
        (["--nothing"], "no option --nothing", "bnspec --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_says_what_why_and_fix(
    words: list[str], what: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, nothing on standard output; a mistyped name names its neighbour."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"bnspec[^:]*: .*\n  Why:  .+\n  Fix:  .+\n", said.err), said.err
    assert what in said.err.splitlines()[0]
    assert fix in said.err.splitlines()[2]


FORGED = "nope\nbnspec report: done\r\n  Fix:  nothing"


@pytest.mark.parametrize(
    "words",
    [
        ["report", FORGED],
        ["report", "run", FORGED],
        ["replay", FORGED],
        ["export", FORGED, "--to", "csv"],
        ["verify", FORGED],
        ["verify", "numpy", "--effort", FORGED],
        ["verify", "numpy", "--clause", FORGED],
        [FORGED],
        ["explain", f"--{FORGED}"],
        ["explain", FORGED],
        ["repro", FORGED],
        ["environments", "remove", FORGED],
        ["new", FORGED],
    ],
    ids=lambda words: words[0][:8],
)
def test_a_name_of_several_lines_forges_none(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Three lines, whatever somebody gave as a name."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"bnspec[^:]*: .*\n  Why:  .+\n  Fix:  .+\n", said.err), said.err


LONG = "9" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "--seed", LONG],
        ["verify", "--seed", "x" * 5000],
        ["verify", "--jobs", LONG],
        ["verify", "--effort", LONG],
        ["verify", "numpy", "--clause", LONG],
        ["verify", "numpy", "--device", LONG],
        ["verify", f"numpy[jax=={LONG}]"],
        ["verify", LONG],
        ["verify", "a b " * 2000],
        ["explain", LONG],
        ["new", LONG],
        ["environments", "make", LONG],
        ["environments", "remove", LONG],
        [LONG],
        [f"--{LONG}"],
    ],
    ids=lambda words: " ".join(words)[:24],
)
def test_a_long_word_is_not_echoed_whole(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its beginning is enough to know it again."""
    assert main(words) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"bnspec[^:]*: .*\n  Why:  .+\n  Fix:  .+\n", said), said
    assert max(map(len, said.splitlines())) < 1000


@pytest.mark.parametrize(
    ("words", "suite"),
    [
        ([], "short"),
        (["--suite", "full"], "full"),
        (["--suite", "full", "--suite", "standard"], "standard"),
        (["--suite", "full", "--quick"], "short"),
        (["--quick", "--suite", "full"], "full"),
    ],
    ids=str,
)
def test_the_last_of_several_names_of_an_option_counts(words: list[str], suite: str) -> None:
    """--quick sets the suite, too."""
    assert command_of("bench").make_context("bench", words).params["suite"] == suite


ENDS = {
    "interrupted": (KeyboardInterrupt(), 130, "interrupted"),
    "stopped": (
        Interrupted(15, "bnspec verify --resume runs/mine"),
        143,
        "go on with: bnspec verify --resume runs/mine",
    ),
    "full disk": (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 3, "make room"),
    "broken pipe": (BrokenPipeError(), 3, "what reads it has ended"),
    "harness": (HarnessError("no room.", "the disk is full.", "make room."), 3, "Fix:  make room."),
    "usage": (UsageError("no such file."), 2, "no such file."),
    "bug": (ZeroDivisionError("a bug"), 3, "internal error"),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_has_its_exit_status(
    end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1 is left to deviations: a program that crashed must not look like one that found some."""
    error, status, said = ENDS[end]

    def fails(*_: Any, **__: Any) -> int:
        raise error

    monkeypatch.setattr(command_of("explain"), "callback", fails)
    assert main(["explain"]) == status
    assert said in capsys.readouterr().err


def test_a_command_knows_how_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest keeps a line that can be pasted."""
    calls = []

    @click.pass_obj
    def called(command_line: str, **_: Any) -> int:
        calls.append(command_line)
        return 0

    monkeypatch.setattr(command_of("verify"), "callback", called)
    assert main(["verify", "--backend", "torch.*"]) == 0
    assert calls == ["bnspec verify --backend 'torch.*'"]


class Provided(EntryPoint):
    """An entry point of a package that is not installed."""

    def load(self) -> Any:
        """The object; the module "broken" raises."""
        if self.module == "broken":
            raise ImportError("no such library")
        return click.Command("outside", callback=lambda: 0, short_help="from outside") if self.attr == "good" else 1


@pytest.mark.parametrize(
    ("value", "listed", "status"),
    [
        ("other:good", "from outside", 0),
        ("other:bad", "is not a click.Command", 2),
        ("broken:good", "cannot be loaded: ImportError", 3),
    ],
)
def test_other_packages_add_commands(
    value: str, listed: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the entry-point group; one that is broken spoils only its own line."""
    entry = Provided("outside", value, "bnspec.commands")
    monkeypatch.setitem(group.entries, "outside", entry)
    assert main(["--help"]) == 0
    assert re.search(rf"^  outside +{re.escape(listed)}", capsys.readouterr().out, re.MULTILINE)
    assert main(["outside"]) == status


def test_json_is_one_document_and_nothing_else(bnspec: Any) -> None:
    """What stands on standard output can be piped into a parser; progress is silent."""
    for words in (
        ["backends", "--backend", "numpy"],
        ["explain", "epsilon"],
        ["vectors", "--out", "v", "--family", "layout"],
    ):
        end = bnspec(*words, "--json")
        assert (end.returncode, end.stderr) == (0, "")
        json.loads(end.stdout)


def test_no_file_prints_past_the_terminal(root: Path) -> None:
    """What a run contains is cleaned in one place: no file makes a console, or prints on one, by itself."""
    folders = ("bnspec", "backends", "conformance", "benchmarks", "reports")
    files = {f.resolve() for folder in folders for f in (root / folder).rglob("*.py")}
    past = re.compile(r"\bconsole\.(print|out)\(|\bConsole\(|\bisatty\(|\bimport argparse\b|x1b\[K")
    found = {f.relative_to(root).as_posix() for f in files if past.search(f.read_text("utf-8"))}
    assert found == {"bnspec/terminal/console.py"}


def test_an_output_that_nobody_takes_is_status_3_and_no_traceback(tmp_path: Path) -> None:
    """Neither a closed pipe nor a full disk looks like deviations, or like success."""
    program = [sys.executable, "-c", "import sys; from bnspec.cli import main; sys.exit(main(['explain']))"]
    closed = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert closed.stdout is not None
    closed.stdout.close()
    assert closed.stderr is not None
    said = closed.stderr.read()
    closed.stderr.close()
    assert (closed.wait(), "Why:" in said, "Traceback" in said) == (3, True, False), said
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, "make room" in ended.stderr, "Traceback" in ended.stderr) == (3, True, False)


@pytest.mark.parametrize("arguments", [["report", "a" * 300], ["verify", "--out", "a" * 300, "--backend", "numpy"]])
def test_a_path_that_is_too_long_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What, Why and Fix of what the system refuses."""
    assert main(arguments) == 3
    said = capsys.readouterr().err
    assert "use a shorter path" in said
    assert "Traceback" not in said


def test_as_many_jobs_as_no_machine_has_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started."""
    assert main(["verify", "--backend", "numpy", "--jobs", "100000"]) == 2
    assert "not between 1 and 1024" in capsys.readouterr().err
