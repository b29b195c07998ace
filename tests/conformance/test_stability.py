"""``bnspec stability``: planted layers whose class is known by derivation.

What the planted layers must come out as (u: unit roundoff, kappa = |mean| / std, m: the count):

    one_pass_variance     E[x^2] and E[x]^2 are each off by u mean^2, their difference by u kappa^2 var: running_var, and with
                          it y and dx, are of class 2.
    unchanged             two passes: x - mean is off by the mean's own error, u |mean| = u kappa std: y is of class 1. The
                          variance sees only the square of that error, (u kappa)^2 var: it grows late, never class 2.
    welford               each update rounds the mean, so that a deviation is off by u |mean|: y and running_var of class 1.
    double_accumulators   the float64 mean is rounded to float32 before x - mean: y of class 1 still, for half of the digits at
                          no smaller kappa than the two-pass layer.
    folded                x a + (beta - mean a) rounds x a, of size kappa |gamma|: class 1 even in inference, where x - mean is
                          exact or nearly so and the plain layer has class 0.
    sequential_sums       a running sum of one-signed values drifts by up to u of its size at each step: running_mean has
                          q about 1. Pairwise (NumPy's own sum along memory) grows like log m: q of at most 1/2.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnspec.cli import main
from bnspec.conformance.stability.command import OUTPUT_NAMES
from bnspec.conformance.stability.data import FORMS, NEAR, Spot, case_of, kappa_of, reached, shape_of
from bnspec.conformance.stability.errors import OUTPUTS
from bnspec.conformance.stability.folder import write_folder
from bnspec.conformance.stability.measuring import measure, opened, thread_environment
from bnspec.conformance.stability.plan import efforts, kappas_of, spots
from bnspec.conformance.stability.run import Request, Study, study
from bnspec.conformance.stability.study import Key, Row
from bnspec.conformance.stability.table import class_text
from bnspec.errors import UsageError
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Oracle
from bnspec.reports.plots.curves import Line, Panel, axes, chart, coinciding

PLANTED = "bnspec.conformance.selftest.catalogue.adapters:"
U = PRECISIONS["float32"].unit_roundoff


def ask(*names: str, **changes: Any) -> Study:
    """A quick study of planted layers in float32."""
    asked: dict[str, Any] = dict(
        backends=[PLANTED + n for n in names], devices=["cpu"], dtypes=["float32"], outputs=OUTPUTS, threads=(),
        seed=1, effort="quick", command="bnspec stability",
    )  # fmt: skip
    return study(Request(**{**asked, **changes}), quiet=True)


@pytest.fixture(scope="module")
def planted() -> Study:
    """The planted layers of the file's docstring, measured once."""
    return ask("one_pass_variance", "unchanged", "welford", "double_accumulators", "folded", "sequential_sums")


@pytest.fixture(scope="module")
def row(planted: Study) -> Callable[[str, str], Row]:
    """The table's row of a planted layer and output."""
    by_key = {r.key: r for r in planted.table}
    return lambda name, output: by_key[Key(PLANTED + name, FORMS[0].name, "float32", output)]


# --- the data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_the_kappa_of_the_stored_data_is_what_was_asked_or_refused(dtype: str) -> None:
    """Measured on the stored values, by another formula than the oracle's; from 1/u on none is reached.

    The m values of a channel are summed in NumPy's widest float, of rounding v: the mean is off by m v of it, by which the variance
    grows with the square, and both sums by m v of themselves.
    """
    u, v = PRECISIONS[dtype].unit_roundoff, float(np.finfo(np.longdouble).eps)
    for asked in kappas_of(dtype, fine=False):
        case = case_of(Spot("kappa", asked, FORMS[0], dtype, dtype, 5))
        x = case.arrays["x"].astype(np.longdouble)
        mean = x.mean(axis=(0, 2, 3), keepdims=True)
        with np.errstate(all="ignore"):
            own = (np.abs(mean) / np.sqrt(np.square(x - mean).mean(axis=(0, 2, 3), keepdims=True))).reshape(-1)
        kappa = kappa_of(Oracle(case))
        hit = reached(asked, kappa, dtype)
        finite = np.isfinite(kappa)
        off = 4.0 * case.count * v + (case.count * v * kappa[finite]) ** 2 + 2.0**-52
        assert (np.abs(kappa[finite] / own[finite].astype(float) - 1.0) <= off).all()
        assert (np.abs(kappa[hit] / asked - 1.0) <= NEAR).all()
        if asked <= 0.1 / u:
            assert hit.all(), f"kappa {asked:g} is within the reach of {dtype}"
        if asked > 1.0 / u:
            assert not hit.any(), f"{dtype} cannot hold kappa {asked:g}"


def test_unreachable_points_are_recorded_as_such_and_not_measured() -> None:
    """bfloat16 data of kappa 1e4 are constant: the point says so and carries no errors."""
    quick = efforts()["quick"]
    with opened(_targets("unchanged"), (0,), lambda _: None) as workers:
        plan = [s for s in spots(quick, ["bfloat16"], {"bfloat16": ["float32"]}, 1) if s.asked == 1e4]
        points = list(measure(workers, plan, OUTPUTS, lambda _: None))
    assert points
    assert {p.status for p in points} == {"unreachable"}
    assert all(not p.errors and "kappa" in p.message for p in points)


def _targets(name: str) -> Any:
    from bnspec.backends.harness.targets import targets_of

    return targets_of([PLANTED + name], ["cpu"])


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.name)
@pytest.mark.parametrize("count", [2, 8, 512, 2048])
def test_a_form_holds_the_count_it_is_asked_for(form: Any, count: int) -> None:
    """Shape, channel axis and memory order; both values of the count's data come equally often."""
    shape = shape_of(form, count, 3)
    assert (len(shape), math.prod(shape)) == (form.rank, 3 * count)
    x = case_of(Spot("count", count, form, "float32", "float32", 1)).arrays["x"]
    last = form.rank == 2 or form.channel_axis == 3 or form.layout == "channels_last"
    if count >= 8:  # with fewer an extent of 1 has any stride
        assert (x.strides[form.channel_axis] == x.itemsize) == last
    for channel in np.moveaxis(x, form.channel_axis, 0):
        _, often = np.unique(channel, return_counts=True)
        assert often.tolist() == [count // 2, count // 2]


# --- planted layers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "output", "kind"),
    [
        ("one_pass_variance", "y", 2),
        ("one_pass_variance", "dx", 2),
        ("one_pass_variance", "running_var", 2),
        ("one_pass_variance", "running_mean", 0),
        ("one_pass_variance", "inference.y", 0),
        ("unchanged", "y", 1),
        ("unchanged", "dx", 1),
        ("unchanged", "running_mean", 0),
        ("unchanged", "dbeta", 0),
        ("unchanged", "inference.y", 0),
        ("welford", "y", 1),
        ("welford", "running_var", 1),
        ("double_accumulators", "y", 1),
        ("folded", "inference.y", 1),
        ("folded", "inference.dx", 0),
    ],
)
def test_a_planted_layer_has_its_class(row: Callable[[str, str], Row], name: str, output: str, kind: int) -> None:
    """As derived in the file's docstring."""
    assert row(name, output).stability == kind, row(name, output)


@pytest.mark.parametrize(("name", "power"), [("one_pass_variance", 2.0), ("unchanged", 1.0), ("welford", 1.0)])
def test_the_exponent_of_a_planted_layer_is_about_that_of_its_law(
    row: Callable[[str, str], Row], name: str, power: float
) -> None:
    """Within a quarter."""
    p = row(name, "y").p
    assert p is not None
    assert p.exponent == pytest.approx(power, abs=0.25)


def test_the_variance_of_two_passes_grows_late_if_at_all(row: Callable[[str, str], Row]) -> None:
    """It is not taken for the one-pass variance, whatever its slope."""
    found = row("unchanged", "running_var")
    assert found.stability in (0, 1)
    assert found.half.at is None or found.half.at > U**-0.5


def test_half_of_the_digits_go_in_the_order_of_the_classes(row: Callable[[str, str], Row]) -> None:
    """One pass near u^(-1/4) = 64, two passes near u^(-1/2) = 4096, with a float64 sum no earlier."""
    one, two, wide = (row(n, "y").half.at for n in ("one_pass_variance", "unchanged", "double_accumulators"))
    assert one is not None
    assert two is not None
    assert wide is not None
    assert U**-0.25 / 8.0 < one < 8.0 * U**-0.25
    assert U**-0.5 / 8.0 < two < 8.0 * U**-0.5
    assert wide >= two


def test_sums_one_by_one_grow_with_the_count_and_pairwise_sums_do_not(row: Callable[[str, str], Row]) -> None:
    """The drift of roundings that do not cancel is linear; a tree's is logarithmic, a wider sum's nothing."""
    slow, pairs, wide = (row(n, "running_mean").q for n in ("sequential_sums", "unchanged", "double_accumulators"))
    assert slow is not None
    assert pairs is not None
    assert wide is not None
    assert slow.exponent == pytest.approx(1.0, abs=0.25)
    assert pairs.exponent <= 0.5
    assert wide.kind == "flat"


def test_a_class_that_the_interval_does_not_settle_is_marked(row: Callable[[str, str], Row]) -> None:
    """Sure rows show the class alone; with an interval across a border it has a tilde, and "?" stands for no class."""
    known = row("one_pass_variance", "y")
    assert known.sure
    assert class_text(known) == "2"
    assert class_text(dataclasses.replace(known, sure=False)) == "2~"
    assert class_text(dataclasses.replace(known, stability=None)) == "?"


def test_measured_errors_of_stable_layers_keep_the_permissive_bound(planted: Study) -> None:
    """The reference curves are on the errors' scale: what the bounds promise holds point by point."""
    for point in planted.points:
        if point.subject.endswith(("unchanged", "welford", "sequential_sums")):
            for name, e in point.errors.items():
                assert (e.rms <= e.bounds["permissive"]).all(), (point.subject, point.spot, name)


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_but_itself_and_every_point_is_beside_it(planted: Study, tmp_path: Path) -> None:
    """No address, no script; the JSON lines hold all points; what was not measured is said."""
    html = write_folder(planted, tmp_path / "out").read_text("utf-8")
    assert not re.findall(r"https?://|<script|<link|@import|url\(|src=", html)
    assert html.count('<svg class="plot"') == len(OUTPUTS) + 6
    assert "changes its own kappa" in html
    lines = (tmp_path / "out" / "points.jsonl").read_text().splitlines()
    assert len(lines) == len(planted.points)
    first = json.loads(lines[0])
    assert first["outputs"]["y"]["rms"]
    assert set(first) >= {"backend", "sweep", "asked", "kappa", "reached", "dtype", "form", "seed", "status"}
    (tmp_path / "out" / "index.html").write_text("somebody else's")
    with pytest.raises(UsageError, match="not a page of bnspec"):
        write_folder(planted, tmp_path / "out")


def test_a_chart_keeps_its_curves_inside_and_escapes_their_names() -> None:
    """Whatever the values, every place lies in the picture; names are text."""
    points = [(1.0, 0.0), (10.0, 1e30), (1e8, 1.0)]
    panel = Panel("y", "kappa", [Line("<b>", 9, points)], [("good bound", points)], 64.0, 4096.0, -12)
    on = axes(panel)
    assert all(0 <= x <= 460 and 0 <= y <= 300 for x, y in (on.at(*p) for p in points))
    assert "<b>" not in str(chart(panel))


def test_curves_that_hide_each_other_are_named() -> None:
    """Those that are equal at every point, and no others."""
    one, two = [(1.0, 1.0), (2.0, 3.0)], [(1.0, 1.0), (2.0, 4.0)]
    panel = Panel("y", "kappa", [Line("a", 0, one), Line("b", 1, two), Line("c", 2, list(one))], [], 64.0, 4096.0, -12)
    assert coinciding(panel) == ["a = c"]


def test_json_is_one_document_with_all_points(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, points, who was asked with which environment; exit status 0 whatever the class."""
    asked = ["stability", PLANTED + "one_pass_variance", "--quick", "--dtype", "float32", "--output", "y"]
    assert main([*asked, "--threads", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (only,) = document["rows"]
    assert (only["output"], only["class"], only["backend"]) == ("y", 2, PLANTED + "one_pass_variance x1")
    assert {p["sweep"] for p in document["points"]} == {"kappa", "count"}
    assert document["backends"][0]["environment"]["OMP_NUM_THREADS"] == "1"


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_dtype_that_is_not_offered_is_shown_and_nothing_measured_is_status_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The planted outside adapter has no float16."""
    assert main(["stability", "example_adapters:Right", "--quick", "--dtype", "float16"]) == 3
    assert "declined: x of dtype float16 is not supported" in capsys.readouterr().out


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_call_that_fails_is_shown_with_what_it_raised() -> None:
    """The planted outside adapter raises in training: no errors, and the reason among what is missing."""
    done = ask(backends=["example_adapters:Raising"], outputs=("y", "inference.y"))
    assert {r.key.output for r in done.table} == {"inference.y"}
    (only,) = done.missing
    assert "training_gradients: error: RuntimeError: no kernel for this" in only.message


@pytest.mark.parametrize(
    "words", [["nope"], [], ["numpy", "--dtype", "int8"], ["numpy", "--threads", "0"], ["numpy", "--output", "z"]]
)
def test_a_bad_call_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a way to fix it on standard error, and nothing on standard output."""
    try:
        status = main(["stability", *words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert "Fix:" in said.err


def test_the_command_offers_the_outputs_that_are_measured() -> None:
    """Their names stand twice, so that --help need not wait for NumPy."""
    assert OUTPUT_NAMES == OUTPUTS


def test_the_same_seed_gives_the_same_data_and_another_one_others() -> None:
    """Bit for bit."""
    spot = Spot("kappa", 100.0, FORMS[0], "float32", "float32", 7)
    assert case_of(spot).id == case_of(spot).id
    assert case_of(spot).id != case_of(Spot("kappa", 100.0, FORMS[0], "float32", "float32", 8)).id


def test_a_thread_count_reaches_the_worker_by_its_environment_alone() -> None:
    """Nothing is set when none is asked."""
    assert thread_environment(0) == {}
    assert thread_environment(3)["OMP_NUM_THREADS"] == "3"
    assert "--xla_cpu_multi_thread_eigen=false" in thread_environment(1)["XLA_FLAGS"]
