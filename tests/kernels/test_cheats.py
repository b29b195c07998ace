"""A kernel that looks fast because it does not do the work gets no grade but F."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels import EXAMPLES, few_cases

from bnspec.conformance.kernels.judge import JudgeRequest, judge

HONEST = (EXAMPLES / "numpy_kernel.py").read_text().replace("def run(", "def honest(")
#: What is put around the honest function; each is caught by a probe, or by its results.
CHEATS = {
    "a cached result": ("KNOWN = {}\ndef run({0}):\n    if id(x) not in KNOWN:\n        KNOWN[id(x)] = x, honest({1})\n    return KNOWN[id(x)][1]\n"),
    "a result that is filled later": (
        "import threading, time\ndef run({0}):\n    y = np.zeros_like(x)\n"
        "    threading.Thread(target=lambda: (time.sleep(0.002), np.copyto(y, honest({1})))).start()\n    return y\n"
    ),
    "another clock": "import time\nsystem = time.perf_counter_ns\ntime.perf_counter_ns = lambda: system() // 10\nseconds = time.perf_counter\ntime.perf_counter = lambda: 1e-6 * seconds()\ndef run({0}):\n    return honest({1})\n",
}  # fmt: skip
PARAMETERS = "x, gamma, beta, running_mean, running_var, eps, momentum, training"


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_fails(name: str, tmp_path: Path) -> None:
    """By what was timed, or by what came."""
    text = CHEATS[name].replace("{0}", PARAMETERS).replace("{1}", PARAMETERS)
    (tmp_path / "kernel.py").write_text(HONEST + "\n\n" + text)
    request = JudgeRequest(f"{tmp_path / 'kernel.py'}::run", 5, jobs=1, out=tmp_path / "run", cases=few_cases()[:1])
    verdict = judge(request, "bnspec judge", quiet=True)
    assert (verdict.grade, verdict.status) == ("F", 1)
    if name == "another clock":
        assert {t.verdict for t in verdict.run.timings if t.samples_ns} == {"rejected"}
        assert not verdict.broken


def test_an_honest_kernel_is_timed_with_the_errors_of_what_was_timed(tmp_path: Path) -> None:
    """Each pass has a median and a ratio."""
    (tmp_path / "kernel.py").write_text(HONEST.replace("def honest(", "def run("))
    request = JudgeRequest(str(tmp_path / "kernel.py"), 5, jobs=1, out=tmp_path / "run", cases=few_cases()[:1])
    verdict = judge(request, "bnspec judge", quiet=True)
    assert verdict.status == 0
    assert [t.pass_name for t in verdict.run.timings] == ["training", "inference", "training_gradients"]
    assert all(t.verdict == "conforms" and t.median_ns and t.ratio is not None for t in verdict.run.timings)
