"""``bnspec stability`` on layers of the mutant catalogue whose class is known by derivation.

The expected classes (u: unit roundoff, kappa = |mean| / std, m: the count):

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

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bnspec.backends.harness.targets import targets_of
from bnspec.cli import main
from bnspec.conformance.stability import run as running
from bnspec.conformance.stability.command import OUTPUT_NAMES
from bnspec.conformance.stability.data import FORMS, NEAR, Spot, case_of, kappa_of, reached, shape_of
from bnspec.conformance.stability.errors import OUTPUTS
from bnspec.conformance.stability.measuring import measure, opened, thread_environment
from bnspec.conformance.stability.plan import efforts, kappas_of, spots
from bnspec.conformance.stability.records import records
from bnspec.conformance.stability.run import StabilityRequest, Study, study
from bnspec.conformance.stability.study import Key, Row, missing
from bnspec.conformance.stability.write import write_study
from bnspec.errors import UsageError
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Oracle
from bnspec.reports.page.page import write_page
from bnspec.reports.plots.curves import Line, Panel, axes, chart, coinciding
from bnspec.reports.plots.palette import Style
from bnspec.reports.run.stability import StabilityCurve, StabilityPoint
from bnspec.reports.run.store import read_run
from bnspec.reports.tables.stability import class_text

CATALOGUE = "bnspec.conformance.selftest.catalogue.adapters:"
U = PRECISIONS["float32"].unit_roundoff


def ask(*names: str, **changes: Any) -> Study:
    """A quick study of catalogue layers in float32."""
    asked: dict[str, Any] = dict(
        backends=[CATALOGUE + n for n in names], devices=["cpu"], dtypes=["float32"], outputs=OUTPUTS, threads=(),
        seed=1, effort="quick", command="bnspec stability",
    )  # fmt: skip
    return study(StabilityRequest(**{**asked, **changes}), quiet=True)


@pytest.fixture(scope="module")
def known() -> Study:
    """The layers of the file's docstring, measured once."""
    return ask("one_pass_variance", "unchanged", "welford", "double_accumulators", "folded", "sequential_sums")


@pytest.fixture(scope="module")
def row(known: Study) -> Callable[[str, str], Row]:
    """The table's row of a layer and output."""
    by_key = {r.key: r for r in known.table}
    return lambda name, output: by_key[Key(CATALOGUE + name, FORMS[0].name, "float32", output)]


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
    """bfloat16 data of kappa 1e4 are constant: the point is "unreachable" and has no errors."""
    quick = efforts()["quick"]
    with opened(_targets("unchanged"), (0,), lambda _: None) as workers:
        plan = [s for s in spots(quick, ["bfloat16"], {"bfloat16": ["float32"]}, 1) if s.asked == 1e4]
        points = list(measure(workers, plan, OUTPUTS, lambda _: None))
    assert points
    assert {p.status for p in points} == {"unreachable"}
    assert all(not p.errors and "kappa" in p.message for p in points)


def _targets(name: str) -> Any:
    from bnspec.backends.harness.targets import targets_of

    return targets_of([CATALOGUE + name], ["cpu"])


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


# --- layers of known class ---------------------------------------------------------------------------------------------------


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
def test_a_layer_has_its_derived_class(row: Callable[[str, str], Row], name: str, output: str, kind: int) -> None:
    """As derived in the file's docstring."""
    assert row(name, output).stability == kind, row(name, output)


@pytest.mark.parametrize(("name", "power"), [("one_pass_variance", 2.0), ("unchanged", 1.0), ("welford", 1.0)])
def test_the_exponent_of_a_layer_is_about_that_of_its_law(
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


def test_a_class_that_the_interval_does_not_settle_is_marked(known: Study) -> None:
    """Sure rows show the class alone; with an interval across a border it has a tilde, and "?" stands for no class."""
    curves = [r for r in records(known) if isinstance(r, StabilityCurve)]
    curve = next(c for c in curves if c.stability_class == 2 and c.output == "y")
    assert curve.backend == CATALOGUE + "one_pass_variance"
    assert curve.sure
    assert class_text(curve) == "2"
    assert class_text(msgspec.structs.replace(curve, sure=False)) == "2~"
    assert class_text(msgspec.structs.replace(curve, stability_class=None)) == "?"


def test_measured_errors_of_stable_layers_keep_the_permissive_bound(known: Study) -> None:
    """The reference curves are on the errors' scale: what the bounds promise holds point by point."""
    for point in known.points:
        if point.subject.endswith(("unchanged", "welford", "sequential_sums")):
            for name, e in point.errors.items():
                assert (e.rms <= e.bounds["permissive"]).all(), (point.subject, point.spot, name)


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_study_is_a_run_directory_and_a_section_of_its_page(tmp_path: Path) -> None:
    """The records hold all points and what follows from them; the page needs nothing but itself; what was not measured is said."""
    asked = StabilityRequest(
        [CATALOGUE + "unchanged", CATALOGUE + "welford"],
        ["cpu"],
        ["float32"],
        OUTPUTS,
        (),
        1,
        "quick",
        "bnspec stability",
    )
    done, run = write_study(asked, tmp_path / "run", quiet=True)
    assert run.complete
    assert len(run.of(StabilityPoint)) == len(done.points)
    assert [c.stability_class for c in run.stability_curves] == [r.stability for r in done.table]
    first = run.of(StabilityPoint)[0]
    assert [float(v) for v in first.outputs["y"].rms] == pytest.approx(done.points[0].errors["y"].rms, rel=1e-3)
    assert {(t.backend, t.status) for t in run.targets} == {(name, "ready") for name in asked.backends}
    page = write_page([run], {}, tmp_path / "page").read_text("utf-8")
    assert not re.findall(r"https?://|<script|<link|@import|url\(|src=", page)
    assert page.count('<svg class="plot"') == len(OUTPUTS) + 6
    assert "changes its own kappa" in page
    with pytest.raises(UsageError, match="cannot take a new run"):
        write_study(asked, tmp_path / "run", quiet=True)


def test_an_interrupted_study_keeps_its_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each point is written as it comes; the run directory can be read and says that it was cut short."""
    measured = running.measure

    def interrupted(*given: Any) -> Any:
        for number, point in enumerate(measured(*given)):
            if number == 2:
                raise KeyboardInterrupt
            yield point

    monkeypatch.setattr(running, "measure", interrupted)
    asked = StabilityRequest(
        [CATALOGUE + "unchanged"], ["cpu"], ["float32"], ("y",), (), 1, "quick", "bnspec stability"
    )
    with pytest.raises(KeyboardInterrupt):
        write_study(asked, tmp_path / "run", quiet=True)
    run = read_run(tmp_path / "run")
    assert (run.complete, len(run.of(StabilityPoint))) == (False, 2)


def test_a_chart_keeps_its_curves_inside_and_escapes_their_names() -> None:
    """Whatever the values, every place lies in the picture; names are text."""
    points = [(1.0, 0.0), (10.0, 1e30), (1e8, 1.0)]
    panel = Panel("y", "kappa", [Line("<b>", Style(9, 0), points)], [("good bound", points)], 64.0, 4096.0, -12)
    across, up = axes(panel)
    assert all(0 <= across.share(x) <= 1 and 0 <= up.share(y) <= 1 for x, y in points)
    assert all(across.holds(x) for x, _ in points)
    drawn = str(chart(panel))
    assert "<b>" not in drawn
    assert drawn.count('class="mark"') == len(points)


def test_curves_that_hide_each_other_are_named() -> None:
    """Those that are equal at every point, and no others."""
    one, two = [(1.0, 1.0), (2.0, 3.0)], [(1.0, 1.0), (2.0, 4.0)]
    panel = Panel(
        "y",
        "kappa",
        [Line(n, Style(k, 0), p) for k, (n, p) in enumerate((("a", one), ("b", two), ("c", list(one))))],
        [],
        64.0,
        4096.0,
        -12,
    )
    assert coinciding(panel) == ["a = c"]


def test_json_is_one_document_with_all_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows, points, the backends with their environments; exit status 0 whatever the class."""
    monkeypatch.chdir(tmp_path)
    asked = ["stability", CATALOGUE + "one_pass_variance", "--quick", "--dtype", "float32", "--output", "y"]
    assert main([*asked, "--threads", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (only,) = document["rows"]
    assert (only["output"], only["class"], only["backend"]) == ("y", 2, CATALOGUE + "one_pass_variance x1")
    assert {p["sweep"] for p in document["points"]} == {"kappa", "count"}
    assert document["backends"][0]["environment"]["OMP_NUM_THREADS"] == "1"
    (folder,) = (tmp_path / "runs").iterdir()
    assert read_run(folder).stability_curves[0].threads == 1
    assert read_run(folder).manifest.options["environment"]["1"]["OMP_NUM_THREADS"] == "1"


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_dtype_that_is_not_offered_is_shown_and_nothing_measured_is_status_3(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The outside adapter has no float16."""
    monkeypatch.chdir(tmp_path)
    assert main(["stability", "example_adapters:Right", "--quick", "--dtype", "float16"]) == 3
    assert "declined: x of dtype float16 is not supported" in capsys.readouterr().out


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_call_that_fails_is_shown_with_what_it_raised() -> None:
    """The outside adapter raises in training: no errors, and the reason among what is missing."""
    done = ask(backends=["example_adapters:Raising"], outputs=("y", "inference.y"))
    assert {r.key.output for r in done.table} == {"inference.y"}
    (only,) = done.missing
    assert "training_gradients: error: RuntimeError: no kernel for this" in only.message


@pytest.mark.parametrize(
    "words",
    [["nope"], [], ["numpy", "--dtype", "int8"], ["numpy", "--threads", "0"], ["numpy", "--output", "z"],
     ["numpy", "--threads", "4096"], ["numpy", "--threads", "1", "--threads", "99999"]],
)  # fmt: skip
def test_a_bad_call_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With a way to fix it on standard error, and nothing on standard output."""
    try:
        status = main(["stability", *words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert "Fix:" in printed.err


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


def test_more_threads_than_a_backend_can_have_are_declined_and_nothing_is_measured_with_them() -> None:
    """One that cannot change their number says so; on one thread it is measured."""
    (target,) = targets_of(["numpy"], ["cpu"])
    with opened([target], (1, 2), lambda doing: None, asked=(1, 2)) as workers:
        one, two = workers
        assert (one.measurable, two.measurable) == (True, False)
        spot = Spot("count", 8.0, FORMS[0], "float32", "float32", 7)
        assert {p.subject for p in measure(workers, [spot], OUTPUTS, lambda doing: None)} == {one.name}
        (only,) = missing([one, two], [], FORMS[:1], ["float32"])
    assert (only.backend, only.status) == (two.name, "declined")
    assert "cannot change its number of threads" in only.message
