"""Workflows and the action: they parse, ask for what is there, and the action's script does what it says."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

HOSTS = re.compile(r"https?://|pypi\.org|index-url", re.IGNORECASE)
ACTION = Path(".github/actions/verify")


def loaded(path: Path) -> Any:
    """A YAML file's data."""
    return yaml.safe_load(path.read_text("utf-8"))


def pages(root: Path) -> list[Path]:
    """Every YAML file for a CI service."""
    return sorted([*root.glob(".github/**/*.yml"), *root.glob("examples/ci/*.yml")])


def test_the_files_parse_and_name_no_host(root: Path) -> None:
    """Where packages come from is the business of whoever runs them."""
    found = pages(root)
    assert len(found) >= 4
    for path in found:
        assert isinstance(loaded(path), dict), path
        assert not HOSTS.search(path.read_text()), path


def test_every_job_has_a_runner_and_steps_that_do_something(root: Path) -> None:
    """A step runs a command or uses an action of a fixed major version."""
    for path in [*(root / ".github" / "workflows").glob("*.yml"), root / "examples" / "ci" / "verify.yml"]:
        for job in loaded(path)["jobs"].values():
            assert job["runs-on"]
            for step in job["steps"]:
                assert ("run" in step) != ("uses" in step), (path, step)
                assert "uses" not in step or re.search(r"@(v\d|release/v\d)", step["uses"]), (path, step)


def test_the_test_workflow_runs_what_a_developer_runs(root: Path) -> None:
    """One script, so that CI and a fresh clone do not drift apart."""
    text = (root / ".github" / "workflows" / "test.yml").read_text()
    assert "bash .ci/run" in text
    assert (root / ".ci" / "run").is_file()


def test_the_example_gives_the_action_inputs_that_it_has(root: Path) -> None:
    """And those that it must have."""
    inputs = loaded(root / ACTION / "action.yml")["inputs"]
    (step,) = [
        s
        for s in loaded(root / "examples" / "ci" / "verify.yml")["jobs"]["verify"]["steps"]
        if "bnspec" in s.get("uses", "")
    ]
    assert set(step["with"]) <= set(inputs)
    assert {n for n, i in inputs.items() if i.get("required")} <= set(step["with"])
    reads = set(re.findall(r"\$\{\{ inputs\.(\w+) \}\}", (root / ACTION / "action.yml").read_text()))
    assert reads == set(inputs)


@pytest.mark.parametrize(("fail", "status"), [("any", 1), ("sometimes", 2)])
def test_the_script_of_the_action_writes_a_summary_and_keeps_the_run(
    fail: str, status: int, root: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """A layer that leaves NaN after an empty batch breaks a SHOULD."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, words in (("bnspec", '-m bnspec "$@"'), ("python", '"$@"')):
        (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}\n')
        (bin_folder / name).chmod(0o755)
    example = root / "examples" / "new_backend"
    (tmp_path / "my_adapter.py").write_text((example / "toy" / "batch_norm.py").read_text())
    output, said = tmp_path / "output", tmp_path / "summary.md"
    inside = environment | {
        "PATH": f"{bin_folder}{os.pathsep}{environment['PATH']}",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{example}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(said),
        "BACKEND": "my_adapter:ToyBatchNorm\n",
        "CLAUSE": "degenerate.empty_batch\ndegenerate.count_one\n",
        "EFFORT": "quick",
        "FAIL": fail,
    }
    command = ["bash", str(root / ACTION / "verify.sh")]
    end = subprocess.run(command, cwd=tmp_path, env=inside, capture_output=True, text=True, check=False)
    assert end.returncode == status, end.stderr
    if status == 2:
        assert "Fix:" in end.stderr
        return
    run = Path(output.read_text().strip().partition("=")[2])
    assert (run / "manifest.json").is_file()
    assert (run / "page" / "index.html").is_file()
    assert "| SHOULD | `degenerate.empty_batch` | my_adapter:ToyBatchNorm@cpu | deviates |" in said.read_text()


@pytest.mark.parametrize(
    ("fail", "level", "status"),
    [("must", "MUST", 1), ("must", "SHOULD", 0), ("any", "SHOULD", 1), ("any", "MAY", 0), ("never", "MUST", 0)],
)
def test_a_deviation_fails_the_job_only_at_the_levels_that_were_asked(
    fail: str, level: str, status: int, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A MAY never does; the summary shows the deviation in any case."""
    finding = {"verdict": "deviates", "backend": "mine", "device": "cpu", "level": level, "clause": "training.output"}
    (tmp_path / "run.json").write_text(
        json.dumps({"findings": [{**finding, "ratio": 3.5, "message": "y is off | far"}]})
    )
    main = runpy.run_path(str(root / ACTION / "summary.py"))["main"]
    assert main(str(tmp_path / "run.json"), fail) == status
    assert f"| {level} | `training.output` | mine@cpu | deviates | 3.5 | y is off \\| far |" in capsys.readouterr().out


def test_a_run_that_judged_nothing_fails_the_job(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backend that could not be opened must not look green."""
    finding = {
        "verdict": "unavailable",
        "backend": "gone",
        "device": "cpu",
        "level": "MUST",
        "clause": "training.output",
    }
    (tmp_path / "run.json").write_text(json.dumps({"findings": [finding]}))
    main = runpy.run_path(str(root / ACTION / "summary.py"))["main"]
    assert main(str(tmp_path / "run.json"), "never") == 1
    assert "Not available, so not judged: gone." in capsys.readouterr().out


def test_the_citation_and_the_package_have_one_version(root: Path) -> None:
    """A release changes both, and the changelog names it."""
    import bnspec

    assert str(loaded(root / "CITATION.cff")["version"]) == bnspec.__version__
    assert f"## [{bnspec.__version__}]" in (root / "CHANGELOG.md").read_text()
