"""The file of a case may be anybody's: it is bounded before it is built, its names have known forms, and nothing of it is guessed."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import unicodedata
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_cases import case_of

from bnspec.errors import UsageError
from bnspec.model import saved_case
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.names import ARRAY, BACKEND, DEVICE, DOTTED, IDENTIFIER, RELATION, fits
from bnspec.model.observation import Observation, StepResult
from bnspec.printable import clean, clean_line

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def document(**changes: Any) -> dict[str, Any]:
    """A saved case as JSON, but for the changes of its top level."""
    return {**json.loads(case_of(X, Step(TRAINING, ("x",), True)).dumps()), **changes}


def at(*path: Any) -> Callable[[dict[str, Any], Any], None]:
    """Sets the value at a path."""

    def put(held: Any, value: Any) -> None:
        for key in path[:-1]:
            held = held[key]
        held[path[-1]] = value

    return put


BUFFER = ("buffers", 0, "zlib_base64")
BOMB = base64.b64encode(zlib.compress(b"\0" * (64 << 20))).decode()
BREAKS: list[tuple[Callable[..., None], Any, str]] = [
    (at("arrays"), [], "arrays is missing or no dict"),
    (at("arrays", "x;import os"), {}, "has the name 'x;import os'"),
    (at("arrays", "import"), {}, "has the name 'import'"),
    (at("arrays", "x\n"), {}, "has the name"),
    (at("arrays", "x", "shape"), [2**60], "an extent that is none"),
    (at("arrays", "x", "shape"), [2**40, 2**20], "take more than 256 MiB"),
    (at("arrays", "x", "shape"), [True, 2], "an extent that is none"),
    (at("arrays", "x", "dtype"), ">f4", "the dtype '>f4'"),
    (at("arrays", "x", "dtype"), "object", "the dtype 'object'"),
    (at("arrays", "x", "buffer"), 99, "lies in buffer 99"),
    (at("arrays", "x", "offset"), -4, "the offset -4"),
    (at("config", "dtype"), "float32;", "dtype is 'float32;'"),
    (at("config", "channels"), 2.0, "channels is 2.0"),
    (at("config", "epsilon"), "0.1", "epsilon is '0.1'"),
    (at("config", "epsilon"), float("nan"), "epsilon is nan"),
    (at("config", "affine"), 1, "affine is 1"),
    (at("config", "device"), "cpu", "has the field 'device'"),
    (at("subject"), "chess", "subject is 'chess'"),
    (at("steps", 0, "call"), "training; import os", "calls 'training; import os'"),
    (at("steps", 0, "inputs"), ["x", "__import__('os')"], "names the array"),
    (at("steps", 0, "fresh"), "yes", "whether it is fresh"),
    (at("steps", 0, "then"), 1, "the field 'then'"),
    (at("steps", 0, "options"), {"decay": "0.5"}, "has '0.5' as decay"),
    (at("steps", 0, "options"), {"threads": 10**9}, "has 1000000000 as threads"),
    (at("steps", 0, "options"), {"relation": "times:4\nimport os"}, "as relation"),
    (at("steps", 0, "options"), {"code": "1"}, "the option 'code'"),
    (at("steps"), [], "it has 0 steps"),
    (at("buffers", 0, "nbytes"), 3, "does not hold the 3 bytes"),
    (at("buffers", 0, "nbytes"), 2**40, "buffers take more than 256 MiB"),
    (at(*BUFFER), BOMB, "does not hold the 48 bytes"),
    (at(*BUFFER), "not base64!", "cannot be inflated"),
    (at("origin"), "here", "origin is no object"),
    (at("origin"), {"a": json.loads("[" * 40 + "]" * 40)}, "brackets are open at once"),
]


@pytest.mark.parametrize(("put", "value", "problem"), BREAKS, ids=[p for _, _, p in BREAKS])
def test_what_is_no_case_is_refused_with_what_why_and_fix(put: Callable[..., None], value: Any, problem: str) -> None:
    """The twin without the change is read."""
    assert Case.loads(json.dumps(document())).id == case_of(X, Step(TRAINING, ("x",), True)).id
    broken = document()
    put(broken, value)
    with pytest.raises(UsageError) as refused:
        Case.loads(json.dumps(broken))
    assert problem in refused.value.what
    assert refused.value.why
    assert refused.value.fix


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000, '"' * 999_999, '\\"' * 500_000, "9" * 100_000, "{" * 30, "", "nul", "\ufeff{}"]
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    """Neither nesting nor unfinished strings nor long numbers."""
    begun = time.perf_counter()
    with pytest.raises(UsageError):
        Case.loads(text)
    assert time.perf_counter() - begun < 2.0


def test_brackets_are_counted_outside_of_strings() -> None:
    """Those in strings nest nothing."""
    assert not saved_case.nested_deeper(json.dumps({"a": "[" * 100, "b": '\\"[[['}), 3)
    assert saved_case.nested_deeper("[[[[1]]]]", 3)
    assert not saved_case.nested_deeper("[[[1]], [[2]], [[3]]]", 3)


def test_arrays_of_another_byte_order_are_refused_in_a_case_and_right_in_a_result() -> None:
    """A dtype's name does not say its byte order: '>f4' and '<f4' are both float32."""
    swapped = X.astype(">f4")
    with pytest.raises(UsageError, match="x has the dtype >f4"):
        case_of(swapped)
    seen = Observation("ok", "", (StepResult("ok", "", {"y": swapped}, {"running_mean": swapped[0]}),))
    came = Observation.from_header(*seen.header())
    np.testing.assert_array_equal(came.steps[0].outputs["y"], X)
    np.testing.assert_array_equal(came.steps[0].before["running_mean"], X[0])
    assert came.steps[0].outputs["y"].dtype.isnative


NAMES = {
    IDENTIFIER: (["y", "running_var"], ["", "y;", "1y", "y\n", "é"]),
    DOTTED: (["running.var", "made_up.clause_1"], ["", ".a", "a.", "a b", "a\n", "a;b", "../a"]),
    DEVICE: (["cpu", "cuda:0"], ["CPU", "cuda:", 'cuda:0")', "cpu\n"]),
    BACKEND: (
        ["numpy", "torch.nn", "torch.nn[torch==2.1.0]", "own:Adapter", "a b/ä.py:Adapter"],
        ["", "torch nn", "torch.nn\n", "a\x1b:B", "a\u202e:B", "a:b()", "a:", '"; import os; "'],
    ),
    ARRAY: (
        ["x", "x[1:2]", "x|times:-4", "x|repadded:nan", "chunk0"],
        ["x[a:b]", "x|", "x|a:b", "x\n", "lambda", "x.y", "x()"],
    ),
    RELATION: (["flipped", "times:-4", "scaled:0.5"], ["flipped\n", "times:x", "{0.__class__}", "a b"]),
}


@pytest.mark.parametrize("pattern", NAMES, ids=lambda p: p[:12])
def test_names_have_their_forms(pattern: str) -> None:
    """At both ends: Python lets a line feed follow a ``$``."""
    good, bad = NAMES[pattern]
    assert [n for n in good if not fits(pattern, n)] == []
    assert [n for n in bad if fits(pattern, n)] == []
    assert not fits(pattern, "x" * 201)


def test_every_character_that_is_unseen_is_replaced_and_no_other() -> None:
    """By the Unicode categories: control, format, surrogates, and separators of lines and paragraphs."""
    wrong = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if (clean(chr(code)) != chr(code)) != (unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp"))
        and chr(code) not in "\n\t"
        and unicodedata.category(chr(code)) != "Cn"  # a later Unicode has given it a meaning
        and not 0x13430 <= code <= 0x1343F
    ]
    assert wrong == []
    assert clean_line(" a\n\tb\u2028c  ") == "a b\ufffdc"
    assert not re.search(r"[\n\t]", clean_line("\n\t"))
