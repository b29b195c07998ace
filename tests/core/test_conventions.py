"""Conventions as data: accepted values, transport, and the precisions they imply."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import builtin_conventions
import pytest

from bnspec.clauses import CLAUSES
from bnspec.errors import UsageError
from bnspec.model.conventions import CHOICES, HALVES, Conventions
from bnspec.model.precision import PRECISIONS, units_of

FIELDS = {f.name: f for f in dataclasses.fields(Conventions)}

#: Values that no conventions may have, for the fields that are no choice of words.
WRONG: dict[str, Any] = {
    "running_correction": 2,
    "normalising_correction": -1,
    "default_epsilon": -1.0,
    "default_decay": 1.5,
    "epsilon_minimum": float("nan"),
    "initial_mean": float("inf"),
    "initial_var": -1.0,
    "input_epsilon": float("inf"),
    "dtypes": ("float32", "float8"),
    "half_parameters": ("float16",),
    "ranks": (1, 2),
}


def test_every_field_is_documented() -> None:
    """The class's docstring explains each of its words."""
    said = set(re.findall(r"\w+", Conventions.__doc__ or ""))
    assert said >= FIELDS.keys()
    assert all(word in said for words in CHOICES.values() for word in words if word not in ("float64", "any"))


@pytest.mark.parametrize("field", sorted(CHOICES))
def test_a_choice_takes_its_words_and_no_other(field: str) -> None:
    """Each word is accepted; another is refused with what, why and fix."""
    for word in CHOICES[field]:
        assert getattr(Conventions(**{field: word}), field) == word
    with pytest.raises(UsageError) as caught:
        Conventions(**{field: "perhaps"})
    assert f"Conventions.{field} is 'perhaps'" in caught.value.what
    assert all(word in caught.value.why for word in CHOICES[field])
    assert caught.value.fix


@pytest.mark.parametrize("field", sorted(WRONG))
def test_a_value_outside_its_range_is_rejected(field: str) -> None:
    """Numbers and lists are checked as words are."""
    with pytest.raises(UsageError, match=f"Conventions.{field}"):
        Conventions(**{field: WRONG[field]})


def test_conventions_without_dtypes_or_ranks_are_rejected() -> None:
    """It would decline everything, and look like a backend that conforms."""
    for empty in ({"dtypes": ()}, {"ranks": ()}):
        with pytest.raises(UsageError):
            Conventions(**empty)


@pytest.mark.parametrize("name", sorted(builtin_conventions.BUILTIN))
def test_declared_conventions_survive_json(name: str) -> None:
    """It reaches the harness as it left the worker."""
    conventions = builtin_conventions.BUILTIN[name]
    assert Conventions.from_json(json.loads(json.dumps(conventions.to_json()))) == conventions


def test_an_unknown_field_is_refused() -> None:
    """A conventions of a newer version is not read by half."""
    with pytest.raises(UsageError, match="unknown field"):
        Conventions.from_json({"running_corection": 1})


def test_clauses_are_relative_to_fields_that_exist() -> None:
    """A clause names the conventions that it depends on."""
    assert {field for clause in CLAUSES.values() for field in clause.depends} <= FIELDS.keys()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("policy", CHOICES["half_statistics"])
def test_half_policies_choose_the_precision_of_the_bounds(policy: str, dtype: str) -> None:
    """The word "parameters" means gamma's dtype; the lenient tier allows x's own precision whatever is declared."""
    conventions = Conventions(half_statistics=policy, half_arithmetic=policy)
    for parameter in ("float32", dtype):
        meant = {"float32": "float32", "input": dtype, "parameters": parameter}[policy]
        units = units_of(conventions, dtype, parameter)
        assert (units.statistics, units.arithmetic) == (PRECISIONS[meant], PRECISIONS[meant])
        assert units.parameter == PRECISIONS[parameter]
        assert units_of(conventions, dtype, parameter, "lenient").statistics == PRECISIONS[dtype]


@pytest.mark.parametrize("policy", CHOICES["half_statistics"])
def test_full_precision_is_computed_in_its_own(policy: str) -> None:
    """The half policies say nothing of float32 and float64."""
    for dtype in ("float32", "float64"):
        units = units_of(Conventions(half_statistics=policy, half_arithmetic=policy), dtype, dtype)
        assert units.statistics == units.arithmetic == units.storage == PRECISIONS[dtype]


def test_an_axis_is_offered_as_declared() -> None:
    """First is axis 1, last the last one; rank 2 has both in one."""
    offered = {
        c: [a for a in range(4) if Conventions(channel_axes=c).offers_axis(4, a)] for c in CHOICES["channel_axes"]
    }
    assert offered == {"first": [1], "last": [3], "first_and_last": [1, 3], "any": [0, 1, 2, 3]}
    assert all(Conventions(channel_axes=c).offers_axis(2, 1) for c in CHOICES["channel_axes"])
