"""A run directory that anybody may have written, opened by every command that reads one; and files mutated by the thousand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fuzz as fuzzer
import pytest
from hostile import CANARY, TEXTS
from large_run import write_large_run

from bnspec.backends.harness.scripts.literals import string
from bnspec.backends.harness.scripts.statements import noted, source
from bnspec.cli import main
from bnspec.reports.run.codec import to_json
from bnspec.reports.run.lines import unsealed
from bnspec.reports.run.records import TargetRecord, Timing
from bnspec.reports.run.store import MANIFEST, RECORDS, read_run

#: Everything that only a person reads: what a stranger may write into it.
FREE = {
    "message",
    "reason",
    "framework",
    "conditions",
    "link",
    "package",
    "exception",
    "command",
    "effort",
    "feature",
    "value",
    "ordinary",
}
EVERY_TEXT = " | ".join(t for t in TEXTS if "\ud800" not in t and len(t) < 200)
READERS = {
    "report": ["report", "RUN", "--out", "OUT"],
    "report --json": ["report", "RUN", "--out", "OUT", "--json"],
    "report --findings": ["report", "RUN", "--findings", "*"],
    "causes": ["causes", "RUN"],
    "causes --json": ["causes", "RUN", "--json"],
    "repro": ["repro", "RUN"],
    "repro --run": ["repro", "RUN", "--run", "--clause", "FIRST"],
    "repro --json": ["repro", "RUN", "--json"],
    "export csv": ["export", "RUN", "--to", "csv"],
    "export samples": ["export", "RUN", "--to", "csv-samples"],
    "export bmf": ["export", "RUN", "--to", "bmf", "--unverified"],
    "export pytest-benchmark": ["export", "RUN", "--to", "pytest-benchmark", "--unverified"],
    "export asv": ["export", "RUN", "--to", "asv", "--unverified", "--out", "OUT"],
    "resume": ["verify", "--resume", "RUN", "--backend", "numpy", "--clause", "affine.absent_is_identity"],
    "replay": ["replay", "RUN/cases/CASE", "--backend", "no_such_module:A"],
}


def hostile(value: Any, name: str = "") -> Any:
    """A record with every text of a stranger wherever a text is free."""
    if isinstance(value, dict):
        loose = name in ("versions", "conventions", "machine", "packages", "options", "kernels")
        texts = {EVERY_TEXT: EVERY_TEXT} if loose and name != "kernels" else {}
        return {k: EVERY_TEXT if loose and isinstance(v, str) else hostile(v, k) for k, v in value.items()} | texts
    if isinstance(value, list):
        return [hostile(v, name) for v in value]
    return f"{value}{EVERY_TEXT}" if name in FREE and isinstance(value, str) else value


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Such a run, in the current folder, with modules of a stranger beside it and inside it."""
    run = tmp_path / "run"
    write_large_run(run, 2, 8, cases=2)
    timing = Timing("numpy", "cpu", "training", (4, 2), "float32", 1, (100, 110, 130), 110.0, 900, 1, "conforms", 0.5)
    lines = [json.loads(unsealed(line) or b"") for line in (run / RECORDS).read_bytes().splitlines()]
    lines[-1:-1] = [to_json(timing)]
    text = "\n".join(json.dumps(hostile(line)) for line in lines) + "\n"
    (run / RECORDS).write_text(
        text.replace("framework0.layer0", "torch.nn").replace("framework1.layer1", "evil.py:Evil")
    )
    manifest = hostile(json.loads((run / MANIFEST).read_text()))
    (run / MANIFEST).write_text(json.dumps(manifest))
    (run / "repros").mkdir()
    for folder in (tmp_path, run, run / "repros", run / "cases"):
        for module in ("numpy", "torch", "json", "evil"):
            (folder / f"{module}.py").write_text(f"import os\nos.mkdir({str(tmp_path / CANARY)!r})\n")
    monkeypatch.chdir(tmp_path)
    return run


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect them."""
        self.found.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.mark.parametrize("reader", READERS)
def test_a_hostile_run_is_shown_and_never_executed(
    reader: str, strange: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Byte by byte nothing but text comes out; no code of it runs; a page holds no script; exit statuses are those promised."""
    case = next((strange / "cases").glob("*.json")).name
    first = next(f.clause for f in read_run(strange).findings if f.verdict == "deviates" and f.backend == "torch.nn")
    stands_for = {"RUN": str(strange), "OUT": str(tmp_path / "out"), "CASE": case, "FIRST": first}
    words = [re.sub("RUN|OUT|CASE|FIRST", lambda m: stands_for[m.group()], word) for word in READERS[reader]]
    status = main(words)
    said = b"".join(capfdbinary.readouterr())
    assert status in (0, 1, 2), said.decode()
    assert b"Traceback" not in said, said.decode()
    assert said
    assert not (tmp_path / CANARY).exists()
    written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    for text in (said.decode(), *(p.read_text("utf-8") for p in written)):
        assert fuzzer.UNSEEN.search(text) is None
    for page in (p for p in written if p.suffix == ".html"):
        tags = Tags(page.read_text("utf-8"))
        assert not tags.found & {"script", "img", "iframe", "object", "embed", "base", "form"}
        assert not [a for a in tags.attributes if a[0].startswith("on") or "javascript:" in a[1]]
    for script in (strange / "repros").glob("*--*.py"):
        fuzzer.check_script(script.read_text("utf-8"))
    if reader == "export csv":
        assert not re.search(rb"(^|,|\")[=+@]", said.replace(b"\n", b"\n,"))


def test_markup_of_a_stranger_is_printed_as_it_is(strange: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a colour nor a link."""
    assert main(["report", str(strange), "--findings", "*"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "[red]x[/red][link=file:///etc/passwd]y[/link]" in said


LEADS_OUT: dict[str, Callable[[Path, Path], object]] = {
    "a case that links out": lambda run, secret: _replace(
        next((run / "cases").glob("*.json")), lambda p: p.symlink_to(secret)
    ),
    "a case that is a pipe": lambda run, _: _replace(next((run / "cases").glob("*.json")), os.mkfifo),
    "records that are a pipe": lambda run, _: _replace(run / RECORDS, os.mkfifo),
    "records that are a device": lambda run, _: _replace(run / RECORDS, lambda p: p.symlink_to("/dev/zero")),
    "a manifest that links out": lambda run, secret: _replace(run / MANIFEST, lambda p: p.symlink_to(secret)),
    "a manifest that is a folder": lambda run, _: _replace(run / MANIFEST, Path.mkdir),
    "a manifest of 20 MB": lambda run, _: (run / MANIFEST).write_text(" " * 20_000_000),
    "records of 3 GB": lambda run, _: os.truncate(run / RECORDS, 3 << 30),
    "cases that link out": lambda run, secret: _replace(run / "cases", lambda p: p.symlink_to(secret.parent)),
}


def _replace(path: Path, make: Callable[[Path], object]) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)


@pytest.mark.parametrize("how", LEADS_OUT)
def test_nothing_outside_of_the_run_is_read_and_nothing_without_end(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links, pipes, devices and files of gigabytes are refused, as a wrong call is."""
    run, secret = tmp_path / "run", tmp_path / "elsewhere" / "secret.json"
    write_large_run(run, 1, 8, cases=1)
    name = next((run / "cases").glob("*.json")).name
    secret.parent.mkdir()
    shutil.copy(run / "cases" / name, secret)
    shutil.copy(secret, secret.with_name(name))
    lines = [unsealed(line) or b"" for line in (run / RECORDS).read_bytes().splitlines()]
    (run / RECORDS).write_bytes(b"\n".join(lines).replace(b"framework0.layer0", b"torch.nn") + b"\n")
    LEADS_OUT[how](run, secret)
    assert main(["repro", str(run)]) == 2
    said = capsys.readouterr().err
    assert "Why:" in said
    assert "Fix:" in said
    if "case" not in how:
        assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 2
    else:
        assert main(["report", str(run), "--out", str(tmp_path / "out")]) == 0
        page = (tmp_path / "out" / "index.html").read_text("utf-8")
        assert "cannot be read" in page or "is missing from the run directory" in page


def test_an_export_stays_in_its_folder(strange: Path, tmp_path: Path) -> None:
    """A version of a framework is part of a file's name for asv, and may be any text."""
    lines = [json.loads(line) for line in (strange / RECORDS).read_bytes().splitlines()]
    target = TargetRecord("numpy", "cpu", "ready", "", "numpy", {"numpy": "../../../../escaped/x"}, {})
    (strange / RECORDS).write_text("\n".join(map(json.dumps, [*lines[:-1], to_json(target), lines[-1]])) + "\n")
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "a" / "b" / "out"
    assert main(["export", str(strange), "--to", "asv", "--out", str(out)]) == 0
    new = {p for p in tmp_path.rglob("*") if p not in before and p.is_file()}
    assert new
    assert all(p.is_relative_to(out) for p in new)


def test_scripts_are_written_through_no_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder for them may be a link to anywhere; a folder that the user names may not."""
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    write_large_run(run, 1, 4, cases=1)
    elsewhere.mkdir()
    (run / "repros").symlink_to(elsewhere)
    assert main(["repro", str(run)]) == 2
    assert "is a link" in capsys.readouterr().err
    assert main(["repro", str(run), "--out", str(elsewhere)]) == 0


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_a_literal_or_one_line_of_comment(text: str) -> None:
    """Python reads the literal as the text, and the comment as nothing."""
    literal = string(text)
    assert literal.isascii()
    assert literal.isprintable()
    import ast

    assert ast.literal_eval(literal) == text
    lines = source([noted(f"print({literal})", text)])
    assert all(line.isprintable() for line in lines)
    tree = ast.parse("\n".join(lines))
    assert len(tree.body) == 1
    printed = ast.literal_eval(tree.body[0].value.args[0])  # type: ignore[attr-defined]
    assert printed == text
    assert not any(re.match(r"[ \t\f]*#.*?coding[:=]", line) for line in lines)


def test_what_is_recorded_is_clean(tmp_path: Path) -> None:
    """A framework colours its messages; the run says what it said in characters that can be shown."""
    run = tmp_path / "run"
    write_large_run(run, 1, 4, cases=1)
    from bnspec.reports.run.records import Incident
    from bnspec.reports.run.store import RunWriter

    lines = (run / RECORDS).read_bytes().splitlines(keepends=True)
    (run / RECORDS).write_bytes(b"".join(lines[:-1]))
    with RunWriter.resume(run) as writer:
        writer.write(Incident("numpy", "cpu", "case", "error", 0, "\x1b[31mred\x1b[0m \u202eabc \ud800 \x9b"))
    (incident,) = (i for i in read_run(run).incidents if i.backend == "numpy")
    assert incident.message == "\ufffd[31mred\ufffd[0m \ufffdabc \ufffd \ufffd"


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    """600 here; ``make fuzz`` takes 100,000. In a process of its own: it watches what the process does."""
    program = Path(fuzzer.__file__)
    end = subprocess.run(
        [sys.executable, program, "600", "7"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert end.returncode == 0, end.stdout + end.stderr
    assert re.search(r"case +\d+ files", end.stdout)
    assert not (tmp_path / CANARY).exists()
