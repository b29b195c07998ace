"""``pytest conformance``: one run over the chosen targets, its findings as tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnspec.backends.harness.registry import select
from bnspec.backends.harness.targets import chosen, targets_of
from bnspec.clauses import ASKED
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.errors import UsageError
from bnspec.reports.run.store import Run


def pytest_addoption(parser: pytest.Parser) -> None:
    """The choices of ``bnspec verify``, as options of pytest."""
    group = parser.getgroup("bnspec")
    group.addoption("--bnspec-backends", default="*", help="comma-separated globs over backends (default: all)")
    group.addoption(
        "--bnspec-except", default="", help="comma-separated globs over backends to leave out (default: none)"
    )
    group.addoption("--bnspec-devices", default="cpu", help="comma-separated devices (default: cpu)")
    group.addoption("--bnspec-effort", default="quick", choices=("device", "quick", "standard"), help="default: quick")
    group.addoption("--bnspec-seed", default=1, type=int, help="default: 1")


def _words(config: pytest.Config, option: str) -> list[str]:
    return [w for w in str(config.getoption(option)).split(",") if w]


def _backends(config: pytest.Config) -> list[str]:
    """The names of the chosen backends. Raises UsageError: a glob is no backend's, or none is left."""
    names_chosen = [e.name for e in chosen(_words(config, "--bnspec-backends"))]
    left_out = _words(config, "--bnspec-except")
    names = {e.name for e in select(left_out)} if left_out else set()
    if names.issuperset(names_chosen):
        raise UsageError("no backend is left.", "--bnspec-except names all that were chosen.", "name fewer.")
    return [name for name in names_chosen if name not in names]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each target and clause."""
    if "target" not in metafunc.fixturenames:
        return
    try:
        targets = targets_of(_backends(metafunc.config), _words(metafunc.config, "--bnspec-devices"))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    if "clause" in metafunc.fixturenames:
        pairs = [(t, c) for t in targets for c in ASKED]
        metafunc.parametrize(("target", "clause"), pairs, ids=[f"{t.name}-{c}" for t, c in pairs])
    else:
        metafunc.parametrize("target", targets, ids=[t.name for t in targets])


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that all tests look at."""
    config = request.config
    folder: Path = tmp_path_factory.mktemp("conformance") / "run"
    asked = VerifyRequest(
        _backends(config),
        _words(config, "--bnspec-devices"),
        (),
        effort=config.getoption("--bnspec-effort"),
        seed=config.getoption("--bnspec-seed"),
        out=folder,
    )
    found, _ = verify(asked, "pytest conformance", quiet=True)
    return found
