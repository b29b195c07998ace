"""Files of a stranger given to everything that reads one, in this process; counted.

    python tests/support/fuzz.py [INPUTS] [SEED]

A file is read, or refused as a wrong call is: with what, why and fix. Nothing else may come of it: no other exception, no second
of silence, no code, no process, no file outside the run, no memory that stays. What could be read is shown and written on: as a
page, a summary, exports and scripts, in which no control character may stand, and no name that a script of ours does not have.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import dataclasses
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_records import benchmark_records
from every_kind import EVERY
from hostile import CANARY, stranger

from bnspec.backends.harness.folders import backend_folders
from bnspec.cli import main
from bnspec.conformance.repro.script import writers
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.exports.command import FORMATS
from bnspec.reports.run.codec import to_json
from bnspec.reports.run.lines import unsealed
from bnspec.reports.run.records import Record
from bnspec.reports.run.store import MANIFEST, RECORDS, read_run

#: Seconds of processor time after which an input hangs, and of any time, on a machine that has other work to do.
HANGS, WAITS = 20.0, 300.0
#: What no reading of a file does, by the names of Python's audit events.
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)
#: Characters that may not come out: all that is control but the line feed and the tab, marks of direction, lone surrogates.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Shares of the kinds of files.
KINDS = {"case": 0.4, "records": 0.4, "manifest": 0.15, "vectors": 0.05}


@dataclasses.dataclass
class Counted:
    """What became of the files of one kind."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    slowest: float = 0.0


class Hangs(BaseException):
    """An input took too long."""


class Fuzz:
    """One run directory that is written anew for every input, in a folder that is the current one meanwhile.

    Args:
        folder: an empty folder. valid: a run directory with a case, and what its files hold.
    """

    def __init__(self, folder: Path, valid: Path, vectors: tuple[bytes, bytes], seed: int = 1) -> None:
        self.draw, self.folder, self.run = random.Random(seed), folder, folder / "run"
        self.counts = {kind: Counted() for kind in KINDS}
        self.manifest = (valid / MANIFEST).read_bytes()
        self.records = (valid / RECORDS).read_bytes().splitlines()
        self.case_name = next((valid / "cases").glob("*.json")).name
        self.cases = [(valid / "cases" / self.case_name).read_bytes()]
        self.vectors = vectors
        self.events: Counter[str] = Counter()
        self.watching = False
        self.there: dict[str, bytes] = {}
        self.scripts = 0
        (self.run / "cases").mkdir(parents=True)
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        if event in FORBIDDEN or (event == "open" and self._is_outside(*arguments)):
            self.events[f"{event} {arguments[0] if event == 'open' else ''}"] += 1

    def _is_outside(self, path: Any, mode: str | None, flags: int) -> bool:
        """Whether a file is written outside the folder, or one that no reading of a run needs is read."""
        if not isinstance(path, (str, bytes, os.PathLike)):  # a descriptor that was opened before
            return False
        place = os.path.realpath(os.fsdecode(path))
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or bool(mode and set(mode) & set("wax+"))
        inside = place.startswith(f"{self.folder.resolve()}{os.sep}") or "__pycache__" in place
        return (writes and not inside) or (place.endswith("passwd") and not inside)

    def all(self, inputs: int) -> dict[str, Counted]:
        """So many inputs of all kinds."""
        kinds = list(KINDS)
        for _ in range(inputs):
            self.one(self.draw.choices(kinds, list(KINDS.values()))[0])
        return self.counts

    def one(self, kind: str) -> None:
        """One file of a kind."""
        counted, begun = self.counts[kind], time.perf_counter()
        counted.inputs += 1
        self._write(kind)
        signal.setitimer(signal.ITIMER_PROF, HANGS)
        signal.setitimer(signal.ITIMER_REAL, WAITS)
        self.watching = True
        try:
            outcome = getattr(self, f"_{kind}")()
        except Hangs:
            outcome = f"no end after {time.perf_counter() - begun:.0f} s"
        except Exception:  # noqa: BLE001  # what must not come
            outcome = traceback.format_exc()
        finally:
            self.watching = False
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        counted.slowest = max(counted.slowest, time.perf_counter() - begun)
        if outcome in ("read", "refused"):
            setattr(counted, outcome, getattr(counted, outcome) + 1)
        else:
            counted.failures.append(outcome)
            kept = self.folder / f"failure-{kind}-{len(counted.failures)}"
            shutil.copytree(self.run, kept, dirs_exist_ok=True)

    def _write(self, kind: str) -> None:
        """The run directory, with one of its files a stranger's."""
        manifest, records, case = self.manifest, list(self.records), self.cases[0]
        if kind == "manifest":
            manifest = stranger(manifest, self.draw)
        elif kind == "records":
            place = self.draw.randrange(len(records))
            records[place] = stranger(records[place], self.draw)
        elif kind == "case":
            case = stranger(self.draw.choice(self.cases), self.draw)
        wanted = {MANIFEST: manifest, RECORDS: b"\n".join(records) + b"\n", f"cases/{self.case_name}": case}
        for name, data in wanted.items():
            if self.there.get(name) != data:
                (self.run / name).write_bytes(data)
        self.there = wanted

    def _case(self) -> str:
        """Read it as a case; what could be read is shown, and written as scripts."""
        text = (self.run / "cases" / self.case_name).read_bytes().decode("utf-8", "replace")
        try:
            case = Case.loads(text)
        except UsageError as refusal:
            return self._refusal(refusal)
        case.dumps()
        if self.draw.random() < 0.1:
            self._call("repro", str(self.run))
            self._scripts()
        if self.draw.random() < 0.02:
            self._call("report", str(self.run), "--out", str(self.folder / "page"))
        return "read"

    def _records(self) -> str:
        """Each command that reads a run: one of them in turn."""
        return self._commands(("report", "report", "causes", "repro", "export", "findings", "json"))

    def _manifest(self) -> str:
        """As the records."""
        return self._commands(("report", "export", "causes"))

    def _commands(self, names: tuple[str, ...]) -> str:
        try:
            read_run(self.run)
        except UsageError as refusal:
            return self._refusal(refusal) if self.draw.random() < 0.9 else self._command(names)
        return self._command(names) if self.draw.random() < 0.4 else "read"

    def _command(self, names: tuple[str, ...]) -> str:
        name, run = self.draw.choice(names), str(self.run)
        words = {
            "report": ["report", run, "--out", str(self.folder / "page")],
            "json": ["report", run, "--json", "--out", str(self.folder / "page")],
            "findings": ["report", run, "--findings", "*"],
            "causes": ["causes", run],
            "repro": ["repro", run],
            "export": [
                "export",
                run,
                "--to",
                self.draw.choice(sorted(FORMATS)),
                "--out",
                str(self.folder / "exported"),
            ],
        }[name]
        shutil.rmtree(self.folder / "exported", ignore_errors=True)
        with contextlib.suppress(OSError):
            (self.folder / "exported").unlink()
        status = self._call(*words)
        if name == "repro":
            self._scripts()
        for written in self._written() if status == 0 else ():
            unseen = UNSEEN.search(written.read_text("utf-8"))
            assert unseen is None, f"{written.name} holds {unseen.group()!r}"
        return "refused" if status == 2 else "read"

    def _written(self) -> Iterator[Path]:
        place = self.folder / "exported"
        yield from ([place] if place.is_file() else place.rglob("*.json") if place.is_dir() else ())
        if (page := self.folder / "page" / "index.html").is_file():
            yield page

    def _vectors(self) -> str:
        """A file of vectors is none of a run and none of a case; the reader of the documentation ends with an error of data."""
        document, arrays = self.vectors
        if self.draw.random() < 0.5:
            document = stranger(document, self.draw)
        else:
            length = int.from_bytes(arrays[:8], "little")
            header = stranger(arrays[8 : 8 + length], self.draw)
            arrays = len(header).to_bytes(8, "little") + header + arrays[8 + length :]
        path = self.folder / "family.json"
        path.write_bytes(document)
        (self.folder / "family.safetensors").write_bytes(arrays)
        assert self._call("replay", str(path), "--backend", "numpy") == 2
        try:
            import vector_reader

            vector_reader.Family(path)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, IndexError, OverflowError, RecursionError):
            return "refused"
        return "read"

    def _refusal(self, refusal: UsageError) -> str:
        assert refusal.what, refusal
        assert refusal.why, refusal
        assert refusal.fix, refusal
        return "refused"

    def _call(self, *words: str) -> int:
        """Run a command here; its status. Every character that comes out is checked."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words)
        said = err.getvalue()
        assert "Traceback" not in said, said
        assert status in (0, 1, 2), (status, said)
        if status == 2:
            assert "Why:" in said, said
            assert "Fix:" in said, said
        for text in (out.getvalue(), said):
            unseen = UNSEEN.search(text)
            assert unseen is None, f"{words[0]} printed {unseen.group()!r}"
        return status

    def _scripts(self) -> None:
        """The scripts parse, and read no name but their own, and those that every script may."""
        for path in (self.run / "repros").glob("*.py"):
            check_script(path.read_text("utf-8"))
            self.scripts += 1
            path.unlink()


#: Builtins that scripts use.
BUILTINS = {
    "print",
    "float",
    "repr",
    "abs",
    "type",
    "str",
    "tuple",
    "bytes",
    "bytearray",
    "Exception",
    "SystemExit",
    "isinstance",
    "error",
    "any",
}


def check_script(text: str) -> None:
    """Raise AssertionError unless every name of a script is bound in it or a harmless builtin, and its lines are printable."""
    tree = ast.parse(text)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    strange = {n for n in names if n in dir(builtins)} - BUILTINS
    strange |= {n for n in names if n.startswith("__")}
    assert not strange, (strange, text)
    imported = {a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    known = {"numpy", "ml_dtypes", "importlib", "contextlib", "copy", "io", *(b.partition(".")[0] for b in writers())}
    assert imported - known <= {"os", "tempfile", "pathlib"}, (imported, text)
    assert all(line.isprintable() for line in text.split("\n")), text
    assert "coding" not in "".join(re.findall(r"coding[:=]", "\n".join(text.split("\n")[:2]))), text


def rss_mb() -> float:
    """The memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def valid_run(folder: Path) -> Path:
    """A run directory with records of many kinds and a case that scripts are written for."""
    from large_run import write_large_run

    write_large_run(folder / "valid", 1, 12, cases=1)
    return folder / "valid"


def more_records(valid: Path, records: list[Record]) -> None:
    """Put records before the last line of a run.

    None has a checksum: a line that is changed and keeps its own is left out before anything reads it.
    """
    lines = [unsealed(line) or b"" for line in (valid / RECORDS).read_bytes().splitlines()]
    lines[-1:-1] = [json.dumps(to_json(r)).encode() for r in records]
    (valid / RECORDS).write_bytes(b"\n".join(lines) + b"\n")
    # a backend that is judged here and has a writer of scripts, in place of the made-up one
    backend = max(name for folder in backend_folders() for name in folder.gate if name in writers())
    text = (valid / RECORDS).read_text("utf-8").replace("framework0.layer0", backend)
    (valid / RECORDS).write_text(text, "utf-8")


def prepared(folder: Path, seed: int) -> Fuzz:
    """A fuzzer in this folder, which becomes the current one."""
    from bnspec.conformance.vectors.folder import write_vectors

    valid = valid_run(folder)
    more_records(valid, [*(r for records in EVERY.values() for r in records), *benchmark_records(2, 3)[::9]])
    write_vectors(folder / "vectors", ("epsilon",))
    vectors = tuple((folder / "vectors" / f"epsilon.{e}").read_bytes() for e in ("json", "safetensors"))
    os.chdir(folder)
    signal.signal(signal.SIGPROF, _hangs)
    signal.signal(signal.SIGALRM, _hangs)
    return Fuzz(folder, valid, (vectors[0], vectors[1]), seed)


def _hangs(*_: object) -> None:
    raise Hangs()


def fuzz(inputs: int, seed: int, folder: Path, report: Callable[[str], object]) -> int:
    """Run, print the counts, and return the number of failures."""
    begun, made, memory = time.perf_counter(), prepared(folder, seed), []
    for tenth in range(1, 11):
        made.all(inputs * tenth // 10 - inputs * (tenth - 1) // 10)
        memory.append(rss_mb())
        failed = sum(len(c.failures) for c in made.counts.values())
        report(f"{inputs * tenth // 10} files, {failed} failures, {memory[-1]:.0f} MB")
    early, late = memory[1], memory[-1]
    for kind, c in made.counts.items():
        report(
            f"{kind:10} {c.inputs:7} files, {c.read:6} read, {c.refused:6} refused, {len(c.failures)} failures, slowest {c.slowest:.2f} s"
        )
        for failure in c.failures[:3]:
            report(failure)
    # a fuzzer whose files are all refused, or none, or of which no script is written, looks at nothing
    idle = [k for k, c in made.counts.items() if not c.refused or (not c.read and k != "vectors")]
    report(f"{made.scripts} scripts looked at; kinds of which nothing was read, or nothing refused: {idle or 'none'}")
    ran = (folder / CANARY).exists() or bool(made.events)
    report(f"code of a stranger run, processes started, files opened outside: {dict(made.events) or 'none'}")
    report(
        f"memory after a fifth {early:.0f} MB, at the end {late:.0f} MB; {time.perf_counter() - begun:.0f} s; seed {seed}"
    )
    return (
        sum(len(c.failures) for c in made.counts.values()) + ran + (late - early > 100) + len(idle) + (not made.scripts)
    )


if __name__ == "__main__":
    wanted = [int(n) for n in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="bnspec-fuzz-") as place:
        np.seterr(all="ignore")
        failed = fuzz(
            *(*wanted, *(100_000, 1)[len(wanted) :]),
            Path(place),
            lambda text: print(text, flush=True),  # noqa: T201 - it prints: that is what it is for
        )
    sys.exit(bool(failed))
