"""What is built is what is meant: one name in site-packages, and everything that it needs beneath it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDERS = ("bnspec", "backends", "conformance", "benchmarks", "reports")
NO_DATA = {".md", ".pyc"}


@dataclass(frozen=True)
class Built:
    """Where an sdist, the wheel built from it, and that wheel's installation lie; and the sources they were made of."""

    sdist: Path
    wheel: Path
    site: Path
    sources: frozenset[str]


def sources(root: Path) -> frozenset[str]:
    """Every file that git tracks or would track, relative to the root; without git, every file of the five folders."""
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
        return frozenset(name for name in listed if name and (root / name).exists())
    found = [p for folder in FOLDERS for p in (root / folder).rglob("*") if "__pycache__" not in p.parts]
    top = [root / name for name in ("pyproject.toml", "README.md")]
    return frozenset(p.relative_to(root).as_posix() for p in found + top if p.is_symlink() or p.is_file())


def run(*command: str | Path, cwd: Path, environment: dict[str, str]) -> str:
    """The command's output. Raises with all that it said when it fails."""
    end = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert end.returncode == 0, f"{command} ended with {end.returncode}:\n{end.stdout}\n{end.stderr}"
    return end.stdout


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A clean copy of the sources, packed as a release would be, and installed where no checkout is near."""
    place = tmp_path_factory.mktemp("release")
    copy, dist, site = place / "source", place / "dist", place / "site"
    names = sources(root)
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, copy / name, follow_symlinks=False)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, copy)
    run(*build, cwd=place, environment=environment)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel)
    run(*install, cwd=place, environment=environment)
    return Built(sdist, wheel, site, names)


def installed_name(source: str) -> str | None:
    """Where a source file of the five folders goes below site-packages; None for what is not installed."""
    folder, _, rest = source.partition("/")
    if folder not in FOLDERS or not rest or Path(source).suffix in {*NO_DATA, ""}:
        return None
    return source if folder == "bnspec" else f"bnspec/{source}"


def test_one_name_arrives_in_site_packages(built: Built) -> None:
    """Nobody wants ``backends`` or ``reports`` at the top of an environment."""
    names = {p.name for p in built.site.iterdir() if not p.name.endswith(".dist-info")}
    assert names - {"bin"} == {"bnspec"}


def test_every_module_and_data_file_arrives(built: Built) -> None:
    """What the folders hold, the wheel holds: a page without its template fails only at the user's."""
    expected = {name for source in built.sources if (name := installed_name(source))}
    arrived = {p.relative_to(built.site).as_posix() for p in (built.site / "bnspec").rglob("*") if p.is_file()}
    arrived = {name for name in arrived if "__pycache__" not in name}
    assert expected - arrived == set(), "missing from the wheel; see [tool.setuptools] in pyproject.toml"
    assert arrived - expected == set(), "in the wheel, but not among the sources"


def test_the_folders_arrive_as_folders(built: Built) -> None:
    """The links of the checkout are not shipped as links, nor their content twice."""
    links = [p for p in built.site.rglob("*") if p.is_symlink()]
    assert not links


def test_the_source_distribution_holds_the_five_folders_once(built: Built) -> None:
    """A wheel can be built from it, which the wheel here was; the checkout's tests need not be in it."""
    with tarfile.open(built.sdist) as archive:
        names = [m.name.partition("/")[2] for m in archive.getmembers()]
    for folder in FOLDERS:
        assert f"{folder}/__init__.py" in names
    assert len(names) == len(set(names))
    assert "pyproject.toml" in names


def test_the_installed_package_works_away_from_the_checkout(
    built: Built, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Every subpackage is imported from the installation, and the command line and the backends are found there."""
    program = textwrap.dedent("""
        import importlib, pathlib, sys
        site = pathlib.Path(sys.argv[1])
        for name in ("", ".backends.harness.registry", ".conformance", ".benchmarks", ".reports"):
            module = importlib.import_module("bnspec" + name)
            assert site in pathlib.Path(module.__file__).parents, module.__file__
        from bnspec.backends.harness.registry import select
        assert [e.name for e in select(["numpy"])] == ["numpy"]
        from bnspec.cli import main
        sys.exit(main(["--help"]))
        """)
    environment = environment | {"PYTHONPATH": str(built.site)}
    said = run(sys.executable, "-c", program, built.site, cwd=tmp_path, environment=environment)
    assert "Usage: bnspec" in said


def test_the_installed_package_can_host_a_worker(built: Built, tmp_path: Path, environment: dict[str, str]) -> None:
    """PYTHONPATH is all that a foreign environment needs: the worker's side starts from the installation."""
    program = (
        "from bnspec.backends.harness.launcher import Worker; from bnspec.backends.harness.registry import select\n"
        "with Worker(select(['numpy'])[0], 'cpu') as worker: print(worker.hello.status)"
    )
    environment = environment | {"PYTHONPATH": str(built.site)}
    assert run(sys.executable, "-c", program, cwd=tmp_path, environment=environment).strip() == "ready"
