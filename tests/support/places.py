"""How many places one touches to add a framework, a clause or a mutant, and how many lines each room holds.

    python tests/support/places.py             of this checkout
    python tests/support/places.py bc2983f     of a commit
    python tests/support/places.py names bc2983f     which file became which since that commit, as a table

Counted by looking for what is there already. A place of a framework is a folder that holds files of its own, or a file beside
them that lists the frameworks one by one. A place of a clause or a mutant is a file that names it.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
#: The frameworks with a backend folder now; NumPy, which everything names, is none of them.
FRAMEWORKS = sorted({file.parent.name for file in (ROOT / "backends").glob("*/environment.toml")} - {"numpy"})
NAME = re.compile(rf"(?<![a-z])(?:{'|'.join(FRAMEWORKS)})(?![a-z])", re.IGNORECASE)
#: A file lists the frameworks where so many lines in a row name all of them: one for each backend.
WINDOW = (ROOT / "pyproject.toml").read_text("utf-8").count('= "bnspec.backends.')
#: Here they are no list to join: references of clauses to public reports, and a test's made-up rows.
SAMPLES = ("bnspec/clauses/", "tests/support/benchmark_records.py")
#: What a person writes by hand; a page is prose, and what is generated follows from the rest.
CODE = {".py", ".toml", ".yml", ".yaml", ""}
#: Known deviations and their scripts say what was observed of a clause; nobody touches them to add one.
OBSERVED = re.compile(r"backends/(?!harness|worker)\w+/harness/")
FOLDERS = ("backends", "benchmarks", "bnspec", "conformance", "reports", "tests")
#: The class names of mutants are read from these.
MUTANTS = re.compile(r"conformance/(selftest/)?mutants/\w+\.py")


@dataclass(frozen=True)
class Places:
    """The paths that one touches for one thing, by kind of thing, and what they were counted over.

    Attributes:
        framework: folders and lists, of the framework with most of them; clause, mutant: the median number of files.
        spelled: files of ``backends/`` whose name spells a framework; backends: all of them.
    """

    framework: tuple[str, ...]
    clause: float
    mutant: float
    spelled: int
    backends: int
    lines: Mapping[str, int]


def checkout(root: Path = ROOT) -> dict[str, str]:
    """The text of every tracked file of a checkout; links are not followed."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    paths = [root / name for name in listed.split("\0") if name]
    return {
        p.relative_to(root).as_posix(): p.read_text("utf-8", "replace")
        for p in paths
        if p.is_file() and not p.is_symlink()
    }


def commit(revision: str) -> dict[str, str]:
    """The text of every file of a commit."""
    entries = git("ls-tree", "-r", revision).splitlines()
    names = [line.partition("\t")[2] for line in entries if line.startswith("100")]
    command = ["git", "cat-file", "--batch"]
    asked = "".join(f"{revision}:{name}\n" for name in names).encode()
    answer = subprocess.run(command, cwd=ROOT, input=asked, capture_output=True, check=True).stdout
    found, at = {}, 0
    for name in names:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].split()[2])
        found[name] = answer[end + 1 : end + 1 + size].decode("utf-8", "replace")
        at = end + size + 2
    return found


def git(*words: str) -> str:
    """What git answers in this repository."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def count(files: Mapping[str, str]) -> Places:
    """Count in a tree."""
    code = {name: text for name, text in files.items() if PurePosixPath(name).suffix in CODE}
    lists = [n for n, text in code.items() if not spelled(n) and not n.startswith(SAMPLES) and lists_all(text)]
    folders = {f: {home(n) for n in files if f in spelled(n)} for f in FRAMEWORKS}
    most = max(folders, key=lambda f: len(folders[f]))
    beside = [n for n in files if n.startswith("backends/") and n.count("/") == 1]
    return Places(
        (*sorted(f"{p}/" for p in folders[most]), *sorted(lists)),
        median(code, clause_ids(code)),
        median(code, mutants(code)),
        sum(bool(spelled(n)) or "/numpy_" in n for n in beside),
        len(beside),
        lines(files),
    )


def spelled(name: str) -> set[str]:
    """The frameworks that a path spells: as its folder, or in its file's name."""
    parts = PurePosixPath(name).parts
    if parts[0] == "backends" and len(parts) > 2:  # a backend folder: its files are its own, whatever they are called
        return {parts[1]} & set(FRAMEWORKS)
    return named(parts[-1]) if parts[0] in FOLDERS else set()


def named(text: str) -> set[str]:
    """The frameworks that a text names."""
    return {word.lower() for word in NAME.findall(text)}


def lists_all(text: str) -> bool:
    """Whether some lines in a row name every framework; what a test is parametrized with is a sample."""
    rows = [set() if "parametrize(" in line else named(line) for line in text.splitlines()]
    return any(set().union(*rows[k : k + WINDOW]) == set(FRAMEWORKS) for k in range(len(rows)))


def home(name: str) -> str:
    """The folder in which a framework's file is added; a backend folder is one, with all that it holds."""
    parts = PurePosixPath(name).parts
    return "/".join(parts[:2] if parts[0] == "backends" and len(parts) > 2 else parts[:-1])


def clause_ids(code: Mapping[str, str]) -> list[str]:
    """The ids of all clauses."""
    text = "".join(t for n, t in code.items() if n.startswith("bnspec/clauses/"))
    return sorted(set(re.findall(r'^        "([a-z_]+\.[a-z_]+)",$', text, re.MULTILINE)))


def mutants(code: Mapping[str, str]) -> list[str]:
    """The class names of all mutants."""
    return sorted(
        {
            c
            for n, t in code.items()
            if MUTANTS.fullmatch(n)
            for c in re.findall(r"^class ([A-Z]\w+)\(", t, re.MULTILINE)
        }
    )


def median(code: Mapping[str, str], names: list[str]) -> float:
    """The median number of files of the five folders and the tests that name one of these."""
    words = [set(re.findall(r"[\w.]+", t)) for n, t in code.items() if n.startswith(FOLDERS) and not OBSERVED.match(n)]
    return statistics.median(sum(name in said for said in words) for name in names)


def lines(files: Mapping[str, str]) -> dict[str, int]:
    """Lines of Python by room: a folder of the five, or of the tests; files beside the rooms under the top folder's name."""
    found: Counter[str] = Counter()
    for name, text in files.items():
        parts = PurePosixPath(name).parts
        if parts[0] in FOLDERS and name.endswith(".py"):
            found["/".join(parts[: 2 if len(parts) > 2 else 1])] += len(text.splitlines())
    return dict(sorted(found.items()))


def renamed(since: str) -> list[tuple[str, str]]:
    """(before, after) of each file of the five folders that has moved since a commit; one is empty where it has no other."""
    status = git("diff", "-M40%", "-l10000", "--name-status", since, "HEAD", "--", *FOLDERS)
    found = []
    for line in status.splitlines():
        kind, *paths = line.split("\t")
        if kind[0] == "R":
            found.append((paths[0], paths[1]))
        elif kind[0] == "D":
            found.append((paths[0], ""))
    return sorted(found)


def report(found: Places) -> str:
    """What was counted, for a person."""
    return "\n".join(
        [
            f"a framework: {len(found.framework)} places",
            *(f"  {place}" for place in found.framework),
            f"a clause: {found.clause:g} files, a mutant: {found.mutant:g} (medians)",
            f"backends/: {found.spelled} of {found.backends} files beside each other spell a framework in their name",
            *(f"{number:7,} {room}" for room, number in found.lines.items()),
        ]
    )


def table(names: list[tuple[str, str]]) -> str:
    """Names before and after as a Markdown table."""
    rows = (f"| `{before}` | {f'`{after}`' if after else 'split or removed'} |" for before, after in names)
    return "\n".join(["| before | after |", "|---|---|", *rows])


if __name__ == "__main__":
    words = sys.argv[1:]
    naming = words[:1] == ["names"]
    sys.stdout.write(
        (table(renamed(words[1])) if naming else report(count(commit(words[0]) if words else checkout()))) + "\n"
    )
