"""Runs of very many findings: the page and the summary show the first of each, say how many more there are, and name the call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from large_run import write_large_run

from bnspec.clauses import CLAUSES
from bnspec.cli import main
from bnspec.reports.page import page as page_module
from bnspec.reports.page import parts
from bnspec.reports.run.records import target_name
from bnspec.reports.run.store import read_run
from bnspec.reports.summary.counts import MARKS
from bnspec.reports.summary.excerpt import Excerpt, shares
from bnspec.reports.tables import run as summary


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve targets by thirty clauses: more than the limits that the tests set."""
    path = tmp_path_factory.mktemp("large") / "run"
    write_large_run(path, 12, 30, cases=2)
    return path


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that this run is beyond."""
    for name, most in dict(
        CELLS=100, TARGETS=5, CLAUSES=20, DEVIATIONS=40, CAUSES=10, INCIDENTS=3, CARDS=4, FAMILIES=1
    ).items():
        monkeypatch.setattr(parts, name, most)
    for name, most in dict(TARGETS=5, DEVIATIONS=6, OTHERS=1).items():
        monkeypatch.setattr(summary, name, most)


def test_each_group_shows_its_share_and_all_where_all_fit() -> None:
    """No group is hidden by a larger one, as long as there is room for one of each."""
    assert shares({"a": [1, 2, 3], "b": [4]}, 4) == {"a": Excerpt([1, 2, 3]), "b": Excerpt([4])}
    assert shares({"a": [1, 2, 3], "b": [4]}, 3) == {"a": Excerpt([1], 2), "b": Excerpt([4])}
    assert shares({"a": [1, 2], "b": [4]}, 1) == {"a": Excerpt([1], 1), "b": Excerpt([], 1)}


@pytest.mark.usefixtures("small_limits")
def test_the_page_of_a_large_run_shows_sums_and_the_first_of_each(large: Path) -> None:
    """Every link leads somewhere, and what is left out is counted, with the call that lists it."""
    run = read_run(large)
    html = page_module.build_page([run], CLAUSES)
    anchors, links = set(re.findall(r'id="([^"]+)"', html)), set(re.findall(r'href="#([^"]+)"', html))
    assert "Targets and families" in html
    assert {link for link in links if link.startswith("deviation-")} <= anchors
    deviating = [f for f in run.findings if f.verdict == "deviates"]
    shown = len(re.findall(r'class="deviation"', html))
    more = sum(int(n) for n in re.findall(r"And (\d+) more targets that deviate from it", html))
    assert shown + more == len(deviating)
    assert f"bnspec report {large} --findings" in html
    causes = len(
        re.findall(
            r"<th scope=\"row\"><span class=\"level", html.partition('id="causes"')[2].partition("</section>")[0]
        )
    )
    hidden = sum(int(n) for n in re.findall(r"And (\d+) more causes", html))
    assert causes + hidden == len(run.causes)


@pytest.mark.usefixtures("small_limits")
def test_whatever_the_page_leaves_out_is_counted_with_the_call(large: Path) -> None:
    """Families, clauses and targets, wherever they are listed."""
    html = page_module.build_page([read_run(large)], CLAUSES)
    for section, words in {"matrix": "families", "clauses": "clauses", "declared": "targets"}.items():
        part = html.partition(f'id="{section}"')[2].partition("</section>")[0]
        assert re.search(rf"And \d+ more {words}: <code>bnspec report {large} --json", part), section
    ended = html.partition('id="how"')[2]
    assert len(re.findall("And 7 more targets", ended)) == 2  # what was judged, and the cases and seconds


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("cells", [100, 1000])
def test_every_link_of_a_large_page_leads_somewhere(large: Path, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sums as with a matrix, though clauses and targets are left out."""
    monkeypatch.setattr(parts, "CELLS", cells)
    html = page_module.build_page([read_run(large)], CLAUSES)
    links = set(re.findall(r'href="#([^"]+)"', html))
    assert links
    assert links <= set(re.findall(r'id="([^"]+)"', html))


@pytest.mark.usefixtures("small_limits")
def test_the_columns_of_a_matrix_that_is_cut_stand_under_their_targets(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row has a cell for each target that the head names, in its order; what is left out is counted."""
    monkeypatch.setattr(parts, "CELLS", 1000)
    run = read_run(large)
    html = page_module.build_page([run], CLAUSES)
    section = html.partition('id="matrix"')[2].partition("</section>")[0]
    head, *rows = re.findall(r"<tr(?: class=\"calm\")?>(.*?)</tr>", section, re.DOTALL)
    targets = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r'<th scope="col"><span>(.*?)</th>', head)]
    assert (len(targets), len(rows)) == (5, 20)
    verdicts = {(f.clause, target_name(f)): f.verdict for f in run.findings}
    for row in rows:
        clause = re.sub("<[^>]*>", "", re.findall(r"<a [^>]*>(.*?)</a>", row)[0])
        cells = re.findall(r'<td class="(\w+)', row)
        assert cells == [MARKS[verdicts[clause, target]].style for target in targets]
    assert "And 7 more targets" in section
    assert "And 10 more clauses" in section


def test_within_the_limits_nothing_is_left_out(large: Path) -> None:
    """The limits are beyond what a run of every backend has."""
    html = page_module.build_page([read_run(large)], CLAUSES)
    assert "Clauses and targets" in html
    assert 'class="note more"' not in html


@pytest.mark.usefixtures("small_limits")
def test_the_summary_of_a_large_run_is_short_and_the_call_lists_all(
    large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the summary leaves out, ``--findings`` prints."""
    assert main(["report", str(large), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    deviating = [f for f in read_run(large).findings if f.verdict == "deviates"]
    assert f"and {len(deviating) - 6} more deviations: bnspec report {large} --findings '*'" in said
    assert "more targets, which break less" in said
    assert re.search(rf"and \d+ more families: bnspec report {large} --json", said)
    assert main(["report", str(large), "--findings", "*"]) == 0
    said = capsys.readouterr().out
    assert sum(" ratio " in line for line in said.splitlines()) == len(deviating)
    assert main(["report", str(large), "--findings", f"{deviating[0].clause}@{deviating[0].backend}"]) == 0
    assert "1 deviation\n" in capsys.readouterr().out
    assert main(["report", str(large), "--findings", "nothing.of_it"]) == 2
    assert "Fix:" in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_of_100_000_findings_is_written_in_20_s_and_500_mb_and_its_page_can_be_opened(tmp_path: Path) -> None:
    """Promised; asserted of processor time, so that a busy machine fails nothing."""
    write_large_run(tmp_path / "run", 500, 200)
    command = [sys.executable, "-m", "bnspec", "report", str(tmp_path / "run"), "--out", str(tmp_path)]
    begun = time.perf_counter()
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    seconds, largest = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    size = (tmp_path / "index.html").stat().st_size / 1e6
    sys.stdout.write(
        f"report of 100,000 findings: {time.perf_counter() - begun:.1f} s ({seconds:.1f} s of processor), "
        f"{largest:.0f} MB, page {size:.1f} MB\n"
    )
    assert seconds < 20
    assert largest < 500
    assert size < 5
