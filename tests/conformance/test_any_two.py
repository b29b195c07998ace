"""Translations between any two backends: each run once for all, every ordered pair compared; the record, and the page of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from example_adapters import Right, RightLayer
from in_process import InProcess

from bnspec.backends.harness.targets import targets_of
from bnspec.conformance.conventions.any_two import any_two
from bnspec.conformance.conventions.proof import party_of, prove
from bnspec.conformance.conventions.translated_layer import Party
from bnspec.contract import Conventions, Declined, Gradients
from bnspec.errors import UsageError
from bnspec.reports.translations.page import page
from bnspec.reports.translations.record import AnyTwo, Pair, Proved, decode, encode
from bnspec.reports.translations.rules import rules_of

RIGHT, WRONG = "example_adapters:Right", "example_adapters:Wrong"
PLACE = Path("x")


@pytest.fixture(scope="module")
def found(module_path: None) -> AnyTwo:
    """Of NumPy's layer, of a right and of a wrong one."""
    return any_two(targets_of(["numpy", RIGHT, WRONG], ["cpu"]), "1.0", "2026-11-29", lambda _: None)


@pytest.fixture(scope="module")
def module_path() -> Iterator[None]:
    """Workers find tests/support/example_adapters.py."""
    with pytest.MonkeyPatch.context() as patch:
        support = Path(__file__).resolve().parents[1] / "support"
        patch.setenv("PYTHONPATH", str(support), prepend=":")
        patch.syspath_prepend(str(support))
        yield


def test_right_layers_agree_both_ways(found: AnyTwo) -> None:
    """Each layer within the sum of both bounds."""
    for source, target in (("numpy", RIGHT), (RIGHT, "numpy")):
        pair = found.pairs[source][target]
        for proved in (pair.inference, pair.training):
            assert proved.how in ("exact", "rounded"), (source, target, proved)
            assert proved.layers > 0
            assert float(proved.ratio or 0.0) <= 1.0


def test_a_wrong_layer_deviates_in_every_pair_and_no_translation_fails(found: AnyTwo) -> None:
    """As source and as target it is the one that is beyond its own bounds, and the page names it alone."""
    for source, of in found.pairs.items():
        for target, pair in of.items():
            routes = pair.inference, pair.training
            assert ("deviates" in {r.how for r in routes}) == (WRONG in (source, target))
            assert "fails" not in {r.how for r in routes}
            assert {name for r in routes for name in r.deviating} <= {WRONG}
    assert [name for name, one in found.backends.items() if one.deviations] == [WRONG]
    said = page(found)
    assert "| no known deviation covers it, and these clauses are broken: " in said
    assert "✗ " not in said.partition("## What is beyond")[0].partition("The number is that of")[2]


class ForwardOnly(Right):
    """Computes no gradients."""

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Declines them."""

        def training_gradients(self, x: np.ndarray, dy: np.ndarray) -> Gradients:
            """None."""
            raise Declined("no gradients here")

        inference_gradients = training_gradients


def test_a_backend_without_gradients_fails_in_nothing() -> None:
    """Its pairs are compared by what both compute; a call that is not offered is no failure."""
    right, forward = (party_of(InProcess(a), a.conventions) for a in (Right, ForwardOnly))
    assert (right.gradients, forward.gradients) == (True, False)
    for source, target in ((right, forward), (forward, right)):
        proven = prove(source, target)
        assert all(p.holds and not p.reason and p.elements for p in (*proven.inference, *proven.training))
    declining = prove(right, Party(forward.worker, forward.conventions))
    assert all(p.reason and p.holds and not p.failed for p in declining.training)


def test_a_record_survives_its_text(found: AnyTwo) -> None:
    """And a page is its record's alone; another text is refused."""
    again = decode(encode(found), PLACE)
    assert again == found
    assert page(again) == page(found)
    for broken in ("", "[]", encode(found).replace('"exact"', '"right"')):
        with pytest.raises(UsageError, match="no record of translations"):
            decode(broken, PLACE)


def test_the_rules_name_what_changes() -> None:
    """The momentum's direction, and the divisor of the running variance, which no function of the state can mend."""
    new = Conventions(momentum_weighs="new", running_correction=1)
    rules = rules_of(Conventions(momentum_weighs="old", running_correction=0).to_json(), new.to_json())
    training = {r.name: r for r in rules.training}
    assert training["momentum"].formula.startswith("1 - momentum")
    assert training["running_var"].how == "impossible"
    assert {r.name: r.how for r in rules.inference}["running_var"] == "copied"


def test_backends_that_are_translated_alike_share_a_letter(found: AnyTwo) -> None:
    """One row for both; text of a stranger stays text."""
    name = "<b>|other"
    like = msgspec.structs.replace(found.backends["numpy"], versions={"numpy": name})
    good = Pair(Proved("exact", 3, 3, 0.5), Proved("exact", 3, 3, 0.5))
    two = msgspec.structs.replace(
        found, backends={"numpy": like, name: like}, pairs={"numpy": {name: good}, name: {"numpy": good}}
    )
    said = page(two)
    assert "| A | numpy, " in said
    assert "<b>|" not in said


def test_the_committed_page_is_its_records_own() -> None:
    """``make translations`` writes both; every pair is there."""
    folder = Path(__file__).resolve().parents[2] / "docs"
    record = decode((folder / "translations.json").read_text("utf-8"), PLACE)
    assert page(record) == (folder / "translations.md").read_text("utf-8")
    assert {s: set(of) for s, of in record.pairs.items()} == {s: record.backends.keys() - {s} for s in record.backends}
