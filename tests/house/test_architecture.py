"""Who may import whom, and the habits of every file: read from the source, without importing it. One test a rule."""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("backends", "conformance", "benchmarks", "reports")
FOLDERS = ("bnspec", *LINKED)

#: From each folder to those it may import. The same arrows stand in the architecture's table.
ARROWS = {
    "bnspec": {"bnspec"},
    "backends": {"bnspec", "backends"},
    "reports": {"bnspec", "reports"},
    "conformance": {"bnspec", "backends", "reports", "conformance"},
    "benchmarks": {"bnspec", "backends", "reports", "benchmarks"},
}
OUTSIDE_WORLD = {
    "asyncio", "ftplib", "http", "multiprocessing", "requests", "select", "shutil", "signal", "socket", "socketserver",
    "sqlite3", "ssl", "subprocess", "tempfile", "urllib",
}  # fmt: skip
#: The worker's side, by folder: these run beside a framework, in a process that may lack everything else. A folder of a
#: framework (``backends/torch``) is the worker's side, its ``harness`` is not.
WORKER_SIDE = (
    "bnspec/__init__.py",
    "bnspec/errors.py",
    "bnspec/contract.py",
    "bnspec/model/*",
    "bnspec/equations/*",
    "backends/__init__.py",
    "backends/*/*",
    "benchmarks/cheats/*",
    "conformance/selftest/catalogue/*",
    "conformance/selftest/mutants/*",
    "conformance/selftest/variants/*",
    "conformance/selftest/reference/*",
)
#: Whatever lies in a folder of this name is the harness's side.
HARNESS = "harness"
#: The packages that only adapters import, as the backend folders say.
FRAMEWORKS = {
    name
    for file in (ROOT / "backends").glob("*/environment.toml")
    for name in tomllib.loads(file.read_text("utf-8"))["imports"]
}
#: What kernels are compiled and built with, in environments of their own: backends/kernels/harness/housing.py.
COMPILERS = {"triton", "tvm_ffi"}
WORKER_PACKAGES = FRAMEWORKS | COMPILERS | {"numpy", "ml_dtypes"}
#: A place to look, for a file that has grown beyond it.
MAX_LINES = 500


@dataclass(frozen=True)
class File:
    """A source file of ours, by the folder it lies in and the name it is imported by."""

    path: Path

    @property
    def label(self) -> str:
        """Its path from the repository's top, for messages."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def folder(self) -> str:
        """Which of the five folders it lies in."""
        return self.path.relative_to(ROOT).parts[0]

    @property
    def room(self) -> str:
        """The room it belongs to: the folder below the top one, or the file itself where it lies beside the rooms.

        A backend folder is two rooms: the adapters, and its harness side.
        """
        parts = self.path.relative_to(ROOT).parts
        if len(parts) == 2:
            return f"{parts[0]}/{self.path.stem}"
        if parts[0] == "backends" and HARNESS in parts[2:-1]:
            return "/".join((*parts[:2], HARNESS))
        return "/".join(parts[:2])

    @property
    def module(self) -> str:
        """The absolute name it is imported by."""
        parts = list(self.path.relative_to(ROOT).with_suffix("").parts)
        if parts[0] != "bnspec":
            parts.insert(0, "bnspec")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def in_worker(self) -> bool:
        """Whether worker processes import it."""
        inside = self.path.relative_to(ROOT).parts[:-1]
        return HARNESS not in inside and any(
            fnmatch.fnmatchcase(self.label, pattern) and self.label.count("/") == pattern.count("/")
            for pattern in WORKER_SIDE
        )

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.path.read_text(encoding="utf-8"), self.label)


def files() -> list[File]:
    """Every source file of the five folders; links are not followed, so each file comes once."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT)
            linked = folder == "bnspec" and relative.parts[1] in LINKED
            if not linked and "__pycache__" not in relative.parts:
                found.append(File(path))
    return found


FILES = files()
MODULES = {f.module: f for f in FILES}
CLASSES = {n.name: n for f in FILES for n in ast.walk(f.tree) if isinstance(n, ast.ClassDef)}


def statements(tree: ast.AST, functions: bool) -> Iterator[ast.AST]:
    """Every node; what is inside functions only if asked for."""
    for node in ast.iter_child_nodes(tree):
        if functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from statements(node, functions)


def imports(tree: ast.AST, functions: bool = True) -> set[str]:
    """Absolute names of the imported modules; ``from package import module`` names the module."""
    names: set[str] = set()
    for node in statements(tree, functions):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = inner & MODULES.keys()
            names.update(modules)
            if modules != inner:
                names.add(node.module)
    return names


def package(name: str) -> str:
    """The top-level package of a module name."""
    return name.partition(".")[0]


def folder_of(name: str) -> str | None:
    """The folder of ours that a module name leads to, if any."""
    parts = name.split(".")
    if parts[0] != "bnspec":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LINKED else "bnspec"


def offences(found: Iterable[tuple[str, object]]) -> str:
    """Each file that breaks a rule with what it does, one a line; empty where none does."""
    return "\n".join(f"{label}: {what}" for label, what in found if what)


def test_imports_follow_the_arrows_of_the_architecture() -> None:
    """A folder imports only what the table of arrows allows it."""
    wrong = ((f.label, [n for n in imports(f.tree) if folder_of(n) not in {None, *ARROWS[f.folder]}]) for f in FILES)
    assert not (said := offences(wrong)), said


def test_our_modules_are_imported_by_their_installed_name() -> None:
    """``import backends`` works in a checkout by accident; relative imports hide which name is meant."""
    bare = ((f.label, [n for n in imports(f.tree) if package(n) in LINKED]) for f in FILES)
    relative = (
        (f.label, [n.lineno for n in ast.walk(f.tree) if isinstance(n, ast.ImportFrom) and n.level]) for f in FILES
    )
    assert not (said := offences([*bare, *relative])), said


def test_modules_that_are_imported_exist() -> None:
    """An import of ours names a file of ours; those inside functions would otherwise fail only when they are reached."""
    missing = ((f.label, {n for n in imports(f.tree) if package(n) == "bnspec"} - MODULES.keys()) for f in FILES)
    assert not (said := offences(missing)), said


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_circle_of_imports_in(folder: str) -> None:
    """Modules of a folder can be put in an order in which each imports only earlier ones, when they are loaded."""
    inside = {f.module: f for f in FILES if f.folder == folder}
    assert not circle({m: imports(f.tree, functions=False) & inside.keys() - {m} for m, f in inside.items()})


def test_no_circle_between_rooms() -> None:
    """Rooms can be put in an order in which each uses only earlier ones; imports inside functions count, too."""
    needs: dict[str, set[str]] = defaultdict(set)
    for file in FILES:
        needs[file.room] |= {MODULES[n].room for n in imports(file.tree) if n in MODULES} - {file.room}
    assert not circle(needs)


def circle(needs: dict[str, set[str]]) -> list[str]:
    """What is part of a circle, or needs what is; empty where everything can be put in order."""
    waiting = {name: set(others) for name, others in needs.items()}
    while ready := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in ready:
            del waiting[name]
    return sorted(waiting)


def test_a_circle_is_seen() -> None:
    """The search that the two tests above rest on."""
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"a"}, "c": set()}) == ["a", "b"]


def test_no_file_imports_a_framework_when_it_is_loaded() -> None:
    """A framework is imported inside a function of an adapter, so that only its worker ever loads it."""
    loaded = ((f.label, [n for n in imports(f.tree, functions=False) if package(n) in FRAMEWORKS]) for f in FILES)
    assert not (said := offences(loaded)), said


def test_frameworks_are_imported_in_backend_folders_only() -> None:
    """Outside the adapters no line names a framework in an import, whenever it runs."""
    outside = (f for f in FILES if not (f.folder == "backends" and f.in_worker))
    assert not (
        said := offences((f.label, [n for n in imports(f.tree) if package(n) in FRAMEWORKS]) for f in outside)
    ), said


def test_the_specification_does_not_reach_the_outside_world() -> None:
    """The core computes: it starts no process, opens no socket and makes no temporary file."""
    core = (f for f in FILES if f.folder == "bnspec")
    reached = ((f.label, [n for n in imports(f.tree) if package(n) in OUTSIDE_WORLD]) for f in core)
    assert not (said := offences(reached)), said


def test_adapters_do_not_import_each_other(pyproject: dict[str, Any]) -> None:
    """What two adapters share lies in a module of its own, so that one can be removed without the other."""
    group = pyproject["project"]["entry-points"]["bnspec.backends"]
    adapters = {value.partition(":")[0] for value in group.values()}
    assert adapters <= MODULES.keys()
    assert not (said := offences((n, imports(MODULES[n].tree) & (adapters - {n})) for n in sorted(adapters))), said


def test_worker_side_files_import_nothing_above_them() -> None:
    """A worker needs Python, NumPy and its framework; a file it imports may ask for no more."""
    problems = []
    for file in (f for f in FILES if f.in_worker):
        names = imports(file.tree)
        problems.append((file.label, [n for n in names if n in MODULES and not MODULES[n].in_worker]))
        foreign = {package(n) for n in names} - sys.stdlib_module_names - WORKER_PACKAGES - {"bnspec"}
        problems.append((file.label, sorted(foreign)))
    assert len(problems) > 100, "the worker's side has shrunk to nothing: has a folder been renamed?"
    assert not (said := offences(problems)), said


def test_worker_side_files_are_python_3_8() -> None:
    """Workers run beside old releases of frameworks: no newer syntax, and no newer idiom that only fails when it runs."""
    assert not (said := offences((f.label, newer_than_3_8(f)) for f in FILES if f.in_worker)), said


def newer_than_3_8(file: File) -> list[tuple[int, str]]:
    """Lines and idioms that Python 3.8 lacks. Raises SyntaxError: newer syntax."""
    ast.parse(file.path.read_text(encoding="utf-8"), file.label, feature_version=(3, 8))
    annotations = set()
    for node in ast.walk(file.tree):
        for field in ("annotation", "returns"):
            part = getattr(node, field, None)
            annotations.update(map(id, ast.walk(part)) if part is not None else ())
    problems = []
    for node in ast.walk(file.tree):
        if id(node) in annotations:
            continue
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            if node.value.id in {"list", "dict", "tuple", "set", "frozenset", "type"}:
                problems.append((node.lineno, f"{node.value.id}[...] is evaluated"))
        elif isinstance(node, ast.Call):
            newer = {k.arg for k in node.keywords} & {"strict", "slots", "kw_only"}
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"removeprefix", "removesuffix", "pairwise", "bit_count"}:
                newer.add(called)
            problems += [(node.lineno, f"{word} is newer") for word in sorted(newer)]
    lazy = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in file.tree.body)
    if annotations and not lazy:
        problems.append((1, "annotations are evaluated: from __future__ import annotations is missing"))
    return problems


def test_everything_public_has_a_docstring() -> None:
    """A stranger reads the file top-down: it, its classes and its functions say what they are."""
    assert not (said := offences((f.label, sorted(undocumented(f.tree))) for f in FILES)), said


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public definitions without a docstring, at module level and in public classes.

    A property is documented where its class's docstring names it; a method that overrides another, there; an overload by what it overloads.
    """
    if not ast.get_docstring(tree):
        yield "the file itself"
    queue: list[tuple[ast.ClassDef | None, ast.AST]] = [(None, n) for n in tree.body]
    while queue:
        owner, node = queue.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            overload = any(ast.unparse(d) == "overload" for d in node.decorator_list)
            if not ast.get_docstring(node) and not overload and not (owner and explained(owner, node)):
                yield f"{owner.name}.{node.name}" if owner else node.name
            if isinstance(node, ast.ClassDef):
                queue += [(node, inner) for inner in node.body]


def explained(owner: ast.ClassDef, member: ast.AST) -> bool:
    """Whether the class's docstring names this property, or the method overrides one that has a docstring."""
    name = getattr(member, "name", "")
    decorators = {ast.unparse(d).rpartition(".")[2] for d in getattr(member, "decorator_list", [])}
    if decorators & {"property", "cached_property"}:
        return name in re.findall(r"\w+", ast.get_docstring(owner) or "")
    bases = [CLASSES.get(ast.unparse(base).rpartition(".")[2]) for base in owner.bases]
    return any(base is not None and base is not owner and inherits_docstring(base, name) for base in bases)


def inherits_docstring(owner: ast.ClassDef, name: str) -> bool:
    """Whether this class, or one it derives from, documents a method of this name."""
    for node in owner.body:
        if isinstance(node, ast.FunctionDef) and node.name == name and ast.get_docstring(node):
            return True
    bases = [CLASSES.get(ast.unparse(base).rpartition(".")[2]) for base in owner.bases]
    return any(base is not None and base is not owner and inherits_docstring(base, name) for base in bases)


def test_no_file_is_longer_than_a_head_holds() -> None:
    """Most files are under 200 lines; one that grows beyond this has outgrown its room."""
    paths = [f.path for f in FILES] + sorted((ROOT / "tests").rglob("*.py"))
    long = {p.relative_to(ROOT).as_posix(): n for p in paths if (n := len(p.read_text().splitlines())) > MAX_LINES}
    assert not long


def test_every_folder_with_modules_is_a_package() -> None:
    """setup.py packs the folders that hold an __init__.py; another one would be missing from the wheel only."""
    homeless = [f.label for f in FILES if not (f.path.parent / "__init__.py").exists()]
    assert not homeless, f"these lie in folders without __init__.py: {homeless}"


@pytest.mark.parametrize("name", LINKED)
def test_the_link_shows_type_checkers_the_folder(name: str) -> None:
    """mypy, pyright and a bare checkout see the installed names through links that git tracks as links."""
    link = ROOT / "bnspec" / name
    assert link.is_symlink(), f"bnspec/{name} must be a link to ../{name}; git checkout bnspec restores it"
    assert link.readlink() == Path("..") / name
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "--stage", f"bnspec/{name}"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert listed.startswith("120000 "), f"git does not track bnspec/{name} as a link: {listed!r}"
