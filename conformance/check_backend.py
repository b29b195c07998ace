"""``check_backend``: the suite inside tests of one's own, one check for each clause.

    from bnspec import check_backend

    @pytest.mark.parametrize("check", check_backend("my_package.adapter:MyAdapter"), ids=str)
    def test_batch_norm(check):
        check()

The backend is run once, when the first check is called.
"""

from __future__ import annotations

import inspect
import secrets
import sys
import tempfile
import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from bnspec.backends.kernels.harness.forms import LIBRARIES, ONNX, PYTHON, SOLUTION, STABLEHLO
from bnspec.clauses import Clause, select_asked
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.judge.collector import with_answers
from bnspec.conformance.kernels.asked import clauses_for
from bnspec.conformance.kernels.judge import JudgeRequest, judge, refuse_unjudged
from bnspec.conformance.run.verify import VerifyRequest, verify
from bnspec.errors import BnspecError, UsageError
from bnspec.reports.run.records import Finding, ratio_text
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import FAILING

#: The suffixes of a kernel's file: a backend is named by a word, as package.module:Class or as path/file.py:Class.
KERNEL = (*PYTHON, *LIBRARIES, *ONNX, *STABLEHLO, *SOLUTION)


@dataclass
class Checked:
    """A backend and the run that all its checks look at; ``path``: where the run's directory is."""

    backend: str
    clauses: Sequence[str]
    effort: EffortName
    seed: int
    device: str
    path: Path

    @property
    def is_kernel(self) -> bool:
        """Whether it is a kernel as it comes, which needs no adapter."""
        return self.backend.partition("::")[0].endswith(KERNEL)

    @property
    def run(self) -> Run:
        """The run. Raises UsageError, HarnessError: the backend cannot be opened or called; of every check, and tried once."""
        if isinstance(self.outcome, BnspecError):
            raise self.outcome
        return self.outcome

    @cached_property
    def outcome(self) -> Run | BnspecError:
        """The run, or why there is none."""
        try:
            return self.judged() if self.is_kernel else self.verified()
        except BnspecError as error:
            return error

    def judged(self) -> Run:
        """The run of a kernel; where all is asked of it, and nothing can be judged, there is none."""
        asked = JudgeRequest(
            self.backend, self.seed, self.device, self.effort, clauses=self.clauses, out=self.path, time=False
        )
        verdict = judge(asked, f"check_backend {self.backend}", quiet=True)
        if not self.clauses:
            refuse_unjudged(verdict, self.clauses)
        return verdict.run

    def verified(self) -> Run:
        """The run of a backend with an adapter."""
        request = VerifyRequest([self.backend], [self.device], self.clauses, self.effort, self.seed, out=self.path)
        return verify(request, f"check_backend {self.backend}", quiet=True)[0]

    @cached_property
    def findings(self) -> Mapping[str, Finding]:
        """The findings by clause."""
        return {f.clause: f for f in self.run.findings}


@dataclass(frozen=True)
class BackendCheck:
    """One clause on one backend; a call of it raises where the backend breaks it.

    Attributes:
        clause: what is asked. expected: why it is known to be broken; "" where it must be kept.
        finding: what was found; the first question runs the backend.
    """

    clause: Clause
    expected: str = ""
    checked: Checked = field(repr=False, kw_only=True)

    def __str__(self) -> str:
        return self.clause.id

    @property
    def finding(self) -> Finding:
        return self.checked.findings[self.clause.id]

    def __call__(self) -> None:
        """Raises AssertionError: the clause is broken, or is not any more though that was expected.

        Raises unittest.SkipTest, which pytest shows as a skip with its reason: nothing was judged. What is expected to fail is an
        expected failure of pytest.
        """
        finding = self.finding
        broken = finding.verdict in FAILING and finding.level != "MAY"
        if self.expected:
            if not broken:
                raise AssertionError(f"{self}: {finding.verdict}, though it was expected to be broken: {self.expected}")
            expected_failure(self.expected)
        if finding.verdict == "unavailable":
            raise AssertionError(f"{self.checked.backend} cannot be opened: {finding.message}")
        if not finding.cases and not broken:
            why = "; ".join(r.reason for r in finding.reasons) or "no case asks it"
            raise unittest.SkipTest(f"{finding.verdict}: {why}")
        if broken:
            raise AssertionError(self.words())

    def words(self) -> str:
        """What is broken: the clause, by how much, and where the smallest case is."""
        finding = self.finding
        case = self.checked.run.path / finding.shrunk if finding.shrunk else ""
        return (
            f"{finding.level} {self}: {self.clause.statement}\n{finding.failures} of {finding.cases} cases, worst error / bound "
            f"{ratio_text(finding.ratio)}: {finding.message}\nsmallest case: {case}; seed {self.checked.seed}"
        )


def expected_failure(reason: str) -> NoReturn:
    """End a check that fails as expected: as pytest's own where pytest runs, else as a skip."""
    pytest = sys.modules.get("pytest")
    if pytest is not None:
        pytest.xfail(reason)
    raise unittest.SkipTest(f"expected failure: {reason}")


def check_backend(
    backend: str | type,
    *,
    clauses: Sequence[str] = (),
    expected_failures: Mapping[str, str] | None = None,
    effort: EffortName = "quick",
    seed: int | None = None,
    device: str = "cpu",
) -> list[BackendCheck]:
    """The checks of a backend, one for each clause that it is asked; nothing is run before the first is called.

    Args:
        backend: an adapter class, a registered backend, ``package.module:Class``, ``path/file.py:Class``, or a kernel as
            ``path/file.py::function``, ``path/library.so`` or any other that ``bnspec judge`` takes.
        clauses: globs of clauses or families; all by default. Whether calls are answered at all is always checked.
        expected_failures: by clause, why it is known to be broken; one that is kept fails, so that the entry is removed.
        seed: of the generated cases; by default a new one, which messages name.
    Raises: UsageError: a clause that does not exist, or is expected to fail and not asked; a class that is in no file.
    """
    name = backend if isinstance(backend, str) else file_of(backend)
    path = Path(tempfile.mkdtemp(prefix="bnspec-")) / "run"
    checked = Checked(name, clauses, effort, secrets.randbelow(1_000_000) if seed is None else seed, device, path)
    asked = with_answers(clauses_for(clauses) if checked.is_kernel else select_asked(clauses))
    expected = dict(expected_failures or {})
    if unknown := sorted(expected.keys() - {c.id for c in asked}):
        raise UsageError(
            f"{unknown[0]} is expected to fail and is not asked.",
            "an expected failure names a clause that is checked.",
            "correct its name, or remove it; bnspec explain lists the clauses.",
        )
    return [BackendCheck(c, expected.get(c.id, ""), checked=checked) for c in asked]


def file_of(adapter: type) -> str:
    """An adapter class as the worker finds it: by its file. Raises UsageError: it is in none, or inside of something."""
    if not isinstance(adapter, type):
        raise UsageError(
            f"{adapter!r:.80} is no backend.",
            "a backend is named, or is a class that derives from bnspec.contract.Adapter.",
            "give such a class, a registered name, FILE:CLASS, or a kernel as FILE::NAME.",
        )
    try:
        file = inspect.getsourcefile(adapter)
    except TypeError:
        file = None
    if file is None or "." in adapter.__qualname__:
        raise UsageError(
            f"{adapter.__qualname__} cannot be opened in a process of its own.",
            "the worker imports the class from its file, at the top level.",
            "move it to the top level of a file, or name it as package.module:Class.",
        )
    return f"{file}:{adapter.__name__}"
