"""Environments: resolved once, built once, never half there, and nothing of this program's packages in them."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from small_wheels import write_releases

from bnspec.backends.harness.environments import cache, installer
from bnspec.backends.harness.environments.bundle import bundle
from bnspec.backends.harness.environments.cache import forget, is_there, kept, obtain, prune, remove
from bnspec.backends.harness.environments.companions import needs_of
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.spec import EnvironmentSpec, parse
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import own, select
from bnspec.errors import UsageError

#: Has the environment of ``argv[1]``, and says whether it installed anything.
PROGRAM = """
import sys
from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.spec import parse
print(obtain(parse(sys.argv[1])).built)
"""
SMALL = parse("bnspec_small==1.0")


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and an index of small wheels alone; returns the cache's folder."""
    write_releases(tmp_path / "wheels")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    forget()
    return cache.environments_folder()


def left(folder: Path) -> list[str]:
    """What lies where environments are built, and where they are taken from."""
    return [p.name for place in ("building", "ready") for p in (folder / place).glob("*")]


TEXTS = (
    "jax==0.4.20",
    "jax==0.4.20,jaxlib==0.4.20;python=3.11;before=2024-01-01",
    "jax>=0.4,<0.5,numpy<2",
    "mlx[cpu]==0.26.1",
    "/opt/venv/bin/python",
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_specification_is_its_text(text: str) -> None:
    """What is written into a run can be read again."""
    assert parse(text).text == text
    assert parse(parse(text).text) == parse(text)


WRONG = (
    "",
    "jax ==",
    "jax;python=2",
    "jax;before=yesterday",
    "jax @ https://host/jax.whl",
    "jax;rm -rf",
    "jax\njaxlib",
    "-e.",
    "a" * 200,
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_specification_is_refused_with_a_fix(text: str) -> None:
    """A run may be anybody's: no URL, no option of an installer, no second line."""
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert refused.value.fix


def test_brackets_hold_an_environment_or_a_choice_of_characters() -> None:
    """A glob goes on to be one."""
    assert [e.name for e in select(["flax.nn?[flax==0.10.2]"])] == ["flax.nnx[flax==0.10.2]"]
    assert [e.name for e in select(["jax.n[n]", "numpy[numpy]"])] == ["jax.nn", "numpy[numpy]"]
    (entry,) = select(["numpy[numpy==1.17.5;python=3.8]"])
    assert (entry.base, entry.own, entry.environment) == ("numpy", False, parse("numpy==1.17.5;python=3.8"))
    (mine,) = select(["here.py:Mine[jax==0.4.20]"])
    assert (mine.base, mine.own) == ("here.py:Mine", True)


def test_an_environment_is_built_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call neither resolves nor installs: no installer is started."""
    made = obtain(SMALL)
    assert made.built
    assert made.packages == {"bnspec-small": "1.0", "numpy": "2.0.0"}
    assert "--hash=sha256:" in (small / "ready" / made.lock / "lock.txt").read_text()
    said = subprocess.run(
        [made.python, "-c", "import bnspec_small as s; print(s.RELEASE)"], capture_output=True, check=True
    )
    assert said.stdout == b"1.0\n"
    forget()
    monkeypatch.setattr(cache.installer().__class__, "resolve", None)
    monkeypatch.setattr(cache.installer().__class__, "build", None)
    again = obtain(SMALL)
    assert (again.built, again.lock, is_there(SMALL)) == (False, made.lock, True)


@pytest.mark.slow
def test_the_same_lock_is_the_same_environment() -> None:
    """Two specifications that mean the same releases share one."""
    first, second = obtain(SMALL), obtain(parse("bnspec_small>=1,<1.1"))
    assert (first.lock, second.built) == (second.lock, False)
    assert len(kept()) == 1


@pytest.mark.slow
def test_two_runs_at_once_build_one(environment: dict[str, str]) -> None:
    """The second waits, and takes what the first has built."""
    command = [sys.executable, "-c", PROGRAM, SMALL.text]
    runs = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(run.communicate(timeout=120)[0] for run in runs) == ["False\n", "True\n"]


@pytest.fixture
def environment() -> dict[str, str]:
    """The variables of a child process."""
    return dict(os.environ)


@pytest.fixture
def false_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a uv first on the path that does something else when it installs."""
    true = installer.uv_path()

    def put(instead: str) -> Path:
        path = tmp_path / "false" / "uv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\ncase "$*" in *"pip sync"*) {instead};; esac\nexec "{true}" "$@"\n')
        path.chmod(0o755)
        monkeypatch.setattr(installer, "uv_path", lambda: str(path))
        return path

    return put


def test_uv_is_found_where_its_package_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed into a folder on Python's path, it is neither beside this Python nor on the path of programs."""
    (tmp_path / "bin").mkdir()
    binary = tmp_path / "bin" / "uv"
    binary.touch()
    (tmp_path / "uv.py").write_text(f"def find_uv_bin():\n    return {str(binary)!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "uv", raising=False)
    monkeypatch.setenv("PATH", "")
    assert installer.uv_path() == str(binary)


needs_uv = pytest.mark.skipif(installer.uv_path() is None, reason="uv is not installed")


@needs_uv
def test_a_build_that_is_killed_leaves_nothing_that_is_taken(
    small: Path, tmp_path: Path, environment: dict[str, str], false_uv: Callable[[str], Path]
) -> None:
    """By SIGKILL, in the middle of installing; the next run begins anew."""
    begun = tmp_path / "begun"
    path = false_uv(f'touch "{begun}"; sleep 100')
    program = f"from bnspec.backends.harness.environments import installer\ninstaller.uv_path = lambda: {str(path)!r}\n{PROGRAM}"
    run = subprocess.Popen([sys.executable, "-c", program, SMALL.text], env=environment, stderr=subprocess.PIPE)
    while not begun.exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert left(small) != []
    assert (kept(), is_there(SMALL)) == ([], False)
    false_uv(":")
    assert obtain(SMALL).built  # it waits until the installer of the killed run has ended
    assert left(small) == [kept()[0].lock]


@pytest.mark.slow
@needs_uv
@pytest.mark.parametrize("instead", ["echo 'error: No space left on device (os error 28)' >&2; exit 2", "kill -9 $$"])
def test_an_installer_that_fails_is_a_reason_and_leaves_nothing(
    instead: str, small: Path, false_uv: Callable[[str], Path]
) -> None:
    """A full disk, or the system's killer; another environment stays as it is."""
    there = obtain(parse("bnspec_small==1.1")).lock
    false_uv(instead)
    with pytest.raises(NotBuilt, match="installing failed"):
        obtain(SMALL)
    assert left(small) == [there]


def test_a_full_disk_of_ours_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do about it, too."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    with pytest.raises(NotBuilt, match="full disk: make room, or set XDG_CACHE_HOME"):
        obtain(SMALL)
    assert kept() == []


@needs_uv
def test_no_network_and_no_solution_are_reasons(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the resolver's words; and a worker in such an environment is a row, not an exception."""
    with pytest.raises(NotBuilt, match="bnspec[-_]nowhere") as unsolvable:
        obtain(parse("bnspec_small==2.0"))
    assert unsolvable.value.unsolvable
    monkeypatch.setenv("UV_NO_INDEX", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(NotBuilt, match="127.0.0.1:9"):
        obtain(parse("bnspec_absent==1.0"))
    worker = Worker(select(["numpy[bnspec_absent==1.0]"])[0], "cpu")
    assert worker.hello.status == "unbuilt"
    assert "127.0.0.1:9" in worker.hello.reason
    assert left(small) == []


def test_a_missing_python_is_said_with_those_that_there_are() -> None:
    """And a path that is none."""
    with pytest.raises(NotBuilt, match=r"no Python 3\.7 is installed; found are .*3\."):
        obtain(parse("bnspec_small==1.0;python=3.7"))
    with pytest.raises(NotBuilt, match="no Python that can be run"):
        obtain(EnvironmentSpec(interpreter="/nowhere/python"))


def test_environments_are_removed_by_their_locks(small: Path) -> None:
    """And pruned by their age, with what killed builds have left."""
    lock = obtain(SMALL).lock
    (small / "building" / "of_a_killed_run").mkdir(parents=True)
    with pytest.raises(UsageError, match="names no environment"):
        remove(["nothing"])
    assert prune(1.0) == []
    assert left(small) == [lock]
    assert [(k.lock, k.bytes > 0) for k in remove([lock[:6]])] == [(lock, True)]  # its size, though it is gone
    assert (kept(), is_there(SMALL)) == ([], False)


@pytest.mark.slow
def test_an_environment_in_use_is_not_removed(small: Path) -> None:
    """By another process, for as long as it lives."""
    obtain(SMALL)
    held = f"{PROGRAM}print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", held, SMALL.text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "False\n"
        user.stdout.readline()
        (lock,) = (k.lock for k in kept())
        assert prune(0.0) == []
        with pytest.raises(UsageError, match="is in use"):
            remove([lock])
        assert is_there(SMALL)
        user.communicate("")
    assert [k.lock for k in prune(0.0)] == [lock]


@pytest.mark.slow
def test_pip_builds_the_same_where_there_is_no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """venv and pip behind the same interface."""
    monkeypatch.setattr(installer, "uv_path", lambda: None)
    made = obtain(SMALL)
    assert made.built
    assert made.packages == {"bnspec-small": "1.0", "numpy": "2.0.0"}
    with pytest.raises(NotBuilt, match="bnspec_nowhere"):
        obtain(parse("bnspec_small==2.0"))
    with pytest.raises(NotBuilt, match="a date needs uv"):
        obtain(parse("bnspec_small==1.0;before=2024-01-01"))


#: Imports everything of a bundle, and refuses what a worker may not need.
ISOLATED = """
import importlib, importlib.abc, pathlib, sys
place = pathlib.Path(sys.argv[1])
allowed = set(sys.stdlib_module_names) | {"bnspec", "numpy"}
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError("a worker imports " + name, name=name)
import numpy
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, str(place))
names = [".".join(f.relative_to(place).with_suffix("").parts) for f in place.rglob("*.py")]
for name in sorted(names):
    module = importlib.import_module(name[: -len(".__init__")] if name.endswith(".__init__") else name)
    assert str(place) in module.__file__, module.__file__
print(len(names))
"""


def test_the_bundle_is_the_workers_side_and_imports_numpy_alone() -> None:
    """No file of the harness; no package that a foreign environment would lack."""
    place = bundle()
    assert not list(place.rglob("harness"))
    assert {p.name for p in (place / "bnspec").iterdir() if p.suffix != ".py"} == {"model", "equations", "backends"}
    end = subprocess.run(
        [sys.executable, "-I", "-c", ISOLATED, str(place)], capture_output=True, text=True, check=False
    )
    assert end.returncode == 0, end.stderr
    assert int(end.stdout) > 60


def test_a_worker_in_another_python_has_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code is the bundle's, and PYTHONPATH is not passed on; what it holds is recorded."""
    (tmp_path / "json.py").write_text("raise SystemExit('of another path')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (entry,) = select([f"numpy[{sys.executable}]"])
    with Worker(entry, "cpu") as worker:
        assert worker.hello.status == "ready"
        assert worker.hello.environment is not None
        assert worker.hello.environment.text == sys.executable


@pytest.mark.slow
@needs_uv
def test_an_own_adapter_runs_in_a_release(tmp_path: Path) -> None:
    """A user's adapter, in an environment that holds the release and nothing of this program."""
    file = tmp_path / "mine.py"
    file.write_text(
        textwrap.dedent("""
            import bnspec_small
            from bnspec.backends.numpy.specification import NumpySpec
            class Mine(NumpySpec):
                def versions(self): return {"bnspec_small": bnspec_small.RELEASE}
            """)
    )
    for release in ("1.0", "1.1"):
        with Worker(own(f"{file}:Mine").within(parse(f"bnspec_small=={release}")), "cpu") as worker:
            assert (worker.hello.status, worker.hello.versions) == ("ready", {"bnspec_small": release})


@pytest.mark.skipif(shutil.which("python3.8") is None, reason="no Python 3.8 is installed")
def test_the_bundle_compiles_on_the_oldest_python() -> None:
    """Syntax alone: what it imports there, the slow tests and the runs over old releases show."""
    end = subprocess.run(
        ["python3.8", "-I", "-m", "compileall", "-q", "-f", str(bundle())], capture_output=True, text=True, check=False
    )
    if "command not found" in end.stderr:
        pytest.skip("python3.8 is a shim without a Python")
    assert end.returncode == 0, end.stdout


def test_what_is_said_twice_of_a_package_holds_together() -> None:
    """A folder's own requirement, and that of a folder whose packages it needs, too."""
    needs = needs_of(EnvironmentSpec(("bnspec_small<1.2", "bnspec_small[extra]>=1.0")))
    assert [str(r) for r in map(Requirement, needs.framework) if r.name == "bnspec_small"] == [
        "bnspec_small[extra]<1.2,>=1.0"
    ]
    pinned = needs_of(EnvironmentSpec(("bnspec_small==1.1", "bnspec_small>=1.0")))
    assert "bnspec-small" in pinned.dateless
