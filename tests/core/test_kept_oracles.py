"""Oracles that are kept for all backends of a run: made once, least recently used first to go, large ones apart."""

from __future__ import annotations

import pytest

from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.oracle import kept
from bnspec.oracle.kept import KeptOracles


def case(seed: int, rows: int = 4):
    """A small case, or one of many rows."""
    return batch_norm_case(Plan(Form((rows, 3), 1), seed=seed, short=True))


def test_an_oracle_is_made_once_for_a_case_and_for_its_equal() -> None:
    """Its answers are shared by whatever asks for the same content."""
    oracles = KeptOracles()
    assert oracles.of(case(1)) is oracles.of(case(1))
    assert oracles.of(case(1)) is not oracles.of(case(2))


def test_the_least_recently_used_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two small cases."""
    monkeypatch.setattr(kept, "ELEMENTS_AT_MOST", 2 * case(1).elements)
    oracles = KeptOracles()
    first, second = oracles.of(case(1)), oracles.of(case(2))
    assert oracles.of(case(1)) is first
    oracles.of(case(3))
    assert oracles.of(case(1)) is first
    assert oracles.of(case(2)) is not second


def test_an_oracle_is_found_by_the_id_of_its_case_as_long_as_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """And counts as used."""
    monkeypatch.setattr(kept, "ELEMENTS_AT_MOST", 2 * case(1).elements)
    oracles = KeptOracles()
    assert oracles.kept(case(1).id) is None
    first, _ = oracles.of(case(1)), oracles.of(case(2))
    assert oracles.kept(case(1).id) is first
    oracles.of(case(3))
    assert oracles.kept(case(1).id) is first
    assert oracles.kept(case(2).id) is None


def test_large_cases_displace_no_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have room of their own, by number."""
    monkeypatch.setattr(kept, "SMALL_ELEMENTS", 100)
    monkeypatch.setattr(kept, "LARGE_AT_MOST", 1)
    oracles = KeptOracles()
    small, large = oracles.of(case(1)), oracles.of(case(2, 50))
    oracles.of(case(3, 50))
    assert oracles.of(case(1)) is small
    assert oracles.of(case(2, 50)) is not large
