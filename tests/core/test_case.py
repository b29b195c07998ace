"""A case is plain data: saving and sending preserve every bit and stride; malformed cases are rejected."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnspec.contract import LayerConfig
from bnspec.errors import UsageError
from bnspec.model.buffers import overlap, pack, unpack
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import PARAMETERS, Case, Step

DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
#: Derandomised: the same examples on every run, so that a red run is a changed program.
steady = settings(derandomize=True, deadline=None, max_examples=150, database=None)


@st.composite
def views(draw: st.DrawFn, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of this shape over drawn bytes (NaN and infinities included) in a drawn layout."""
    gaps = [draw(st.integers(1, 3)) for _ in shape]
    room_shape = tuple(n * g + 1 for n, g in zip(shape, gaps, strict=True))
    size = int(np.prod(room_shape))
    seed = draw(st.binary(min_size=1, max_size=16))
    room = np.resize(np.frombuffer(seed, np.uint8), size * np.dtype(dtype).itemsize).view(dtype).copy()
    order = draw(st.permutations(range(len(shape))))
    room = room.reshape([room_shape[a] for a in order]).transpose(np.argsort(order))
    view = room[(*(slice(1, 1 + n * g, g) for n, g in zip(shape, gaps, strict=True)), ...)]
    for axis in range(len(shape)):
        kind = draw(st.sampled_from(["forward", "reversed", "expanded"]))
        if kind == "reversed":
            view = np.flip(view, axis)
        elif kind == "expanded" and view.shape[axis]:
            view = np.broadcast_to(np.take(view, [0], axis), view.shape)
    return view


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any well-formed batch-normalization case, its inputs separate or sharing memory."""
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=2, max_size=5)))
    axis = draw(st.integers(0, len(shape) - 1))
    name = draw(st.sampled_from(sorted(DTYPES)))
    affine = draw(st.booleans())
    parameter_name = draw(st.sampled_from([name, "float32"]))
    unit = st.floats(0.0, 1.0)
    config = LayerConfig(len(shape), axis, shape[axis], draw(unit), draw(unit), name, parameter_name, affine)
    x = draw(views(shape, DTYPES[name]))
    arrays = {"x": x, "dy": x[::-1] if draw(st.booleans()) else draw(views(shape, DTYPES[name]))}
    for parameter in PARAMETERS if affine else PARAMETERS[2:]:
        arrays[parameter] = draw(views((shape[axis],), DTYPES[parameter_name]))
    calls = [TRAINING, INFERENCE, TRAINING_GRADIENTS, INFERENCE_GRADIENTS]
    steps = draw(
        st.lists(st.builds(lambda c, f: Step(c, c.inputs, f), st.sampled_from(calls), st.booleans()), min_size=1)
    )
    origin = draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3))
    return Case("batch_norm", config, arrays, tuple(steps), origin)


def assert_same_memory(came: dict[str, np.ndarray], sent: dict[str, np.ndarray]) -> None:
    """The same bits under the same dtypes, shapes and strides, sharing memory exactly where the others do."""
    assert came.keys() == sent.keys()
    for name, array in sent.items():
        other = came[name]
        assert (other.dtype, other.shape, other.strides) == (array.dtype, array.shape, array.strides), name
        assert other.tobytes() == array.tobytes(), name
    for first, second in itertools.combinations(sent, 2):
        assert overlap(came[first], came[second]) == overlap(sent[first], sent[second]), (first, second)


@steady
@given(cases())
def test_a_case_survives_being_saved(case: Case) -> None:
    """loads(dumps(case)) is the case: its fields, its memory and so its id."""
    again = Case.loads(case.dumps())
    assert (again.subject, again.config, again.steps) == (case.subject, case.config, case.steps)
    assert dict(again.origin) == dict(case.origin)
    assert_same_memory(dict(again.arrays), dict(case.arrays))
    assert again.id == case.id


@steady
@given(cases())
def test_a_case_survives_the_wires_json_header(case: Case) -> None:
    """The header is JSON, and with the buffers it is the case again."""
    header, buffers = case.header()
    again = Case.from_header(json.loads(json.dumps(header)), buffers)
    assert_same_memory(dict(again.arrays), dict(case.arrays))
    assert again.id == case.id


def test_an_owner_keeps_its_axes_in_any_order() -> None:
    """NumPy gives a result the order of its argument's strides, which may be neither C's nor Fortran's."""
    turned = np.empty((2, 5, 3)).transpose(1, 0, 2).copy(order="K")
    turned[...] = np.arange(30.0).reshape(turned.shape)
    assert not turned.flags.forc
    came = unpack(*pack({"x": turned}))["x"]
    assert np.array_equal(came, turned)
    assert came.strides == turned.strides


@pytest.mark.parametrize("shape", [(2, 3), (1,), (), (0, 3), (4, 1, 2)])
def test_an_array_of_all_its_memory_is_packed_as_a_view_of_it_is(shape: tuple[int, ...]) -> None:
    """The shorter way gives the same specs and bytes."""
    array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape).copy()
    assert array.base is None
    assert pack({"x": array}) == pack({"x": array[...]})


@steady
@given(st.data())
def test_unpack_undoes_pack(data: st.DataObject) -> None:
    """For arrays of any layout, whether they share an owner or not; each arrives in writable memory."""
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=4)))
    a = data.draw(views(shape, data.draw(st.sampled_from(list(DTYPES.values())))))
    sent = {"a": a, "turned": a.T, "copied": a.copy(), "tail": a.reshape(-1)[1:] if a.flags.c_contiguous else a[:0].T}
    came = unpack(*pack(sent))
    assert_same_memory(came, sent)
    assert all(array.flags.writeable for array in came.values())


@steady
@given(cases())
def test_an_id_names_the_content_and_not_the_origin(case: Case) -> None:
    """The same content has one id wherever it came from; another bit has another."""
    assert case.with_(origin={"elsewhere": 1}).id == case.id
    assert case.with_(steps=(*case.steps, Step(INFERENCE, ("x",)))).id != case.id
    assert case.with_(arrays={**case.arrays, "extra": np.array([1.0])}).id != case.id


# --- what is no case --------------------------------------------------------------------------------------------------


def plain() -> dict[str, Any]:
    """A well-formed saved case of shape (4, 2), as JSON data, for the tests to spoil."""
    arrays = {name: np.ones(2, np.float32) for name in PARAMETERS}
    arrays |= {"x": np.arange(8, dtype=np.float32).reshape(4, 2), "dy": np.ones((4, 2), np.float32)}
    config = LayerConfig(2, 1, 2, 2.0**-10, 0.75, "float32", "float32")
    case = Case("batch_norm", config, arrays, (Step(TRAINING_GRADIENTS, ("x", "dy")),))
    data: dict[str, Any] = json.loads(case.dumps())
    return data


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """A spoiler that puts the last of its arguments where the others lead."""

    def spoil(data: Any) -> None:
        *way, key, value = path
        for word in way:
            data = data[word]
        data[key] = value

    return spoil


def drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    """A spoiler that removes what its arguments lead to."""

    def spoil(data: Any) -> None:
        *way, key = path
        for word in way:
            data = data[word]
        del data[key]

    return spoil


SPOILERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another schema": put("schema", "bnspec-case/0"),
    "no schema": drop("schema"),
    "no subject": drop("subject"),
    "unknown subject": put("subject", "group_norm"),
    "no config": drop("config"),
    "config without epsilon": drop("config", "epsilon"),
    "config with an unknown field": put("config", "momentum", 0.1),
    "rank that is a word": put("config", "rank", "two"),
    "channel axis outside the rank": put("config", "channel_axis", 2),
    "channel axis negative": put("config", "channel_axis", -1),
    "epsilon negative": put("config", "epsilon", -1.0),
    "epsilon not a number": put("config", "epsilon", float("nan")),
    "decay above one": put("config", "decay", 1.5),
    "decay not a number": put("config", "decay", float("nan")),
    "other channels than the arrays": put("config", "channels", 3),
    "no arrays": drop("arrays"),
    "gamma missing": drop("arrays", "gamma"),
    "running_var missing": drop("arrays", "running_var"),
    "x missing": drop("arrays", "x"),
    "unknown dtype": put("arrays", "x", "dtype", "float33"),
    "dtype that runs code when read": put("arrays", "x", "dtype", "object"),
    "array without strides": drop("arrays", "x", "strides"),
    "strides that leave the buffer": put("arrays", "x", "strides", [800, 4]),
    "strides too few": put("arrays", "x", "strides", [4]),
    "offset before the buffer": put("arrays", "x", "offset", -4),
    "offset behind the buffer": put("arrays", "x", "offset", 1 << 20),
    "extent negative": put("arrays", "x", "shape", [-4, 2]),
    "extent huge": put("arrays", "x", "shape", [1 << 40, 2]),
    "buffer that is not there": put("arrays", "x", "buffer", 99),
    "no buffers": drop("buffers"),
    "buffer that is no text": put("buffers", 0, 7),
    "buffer that is no base64": put("buffers", 0, {"nbytes": 8, "zlib_base64": "%%%"}),
    "buffer that is no zlib": put("buffers", 0, {"nbytes": 8, "zlib_base64": "AAAA"}),
    "buffer that is too short": put("buffers", 0, {"nbytes": 0, "zlib_base64": "eJwDAAAAAAE="}),
    "no steps": drop("steps"),
    "empty steps": put("steps", []),
    "steps that are no list": put("steps", 5),
    "step without inputs": drop("steps", 0, "inputs"),
    "step with an unknown call": put("steps", 0, "call", "train"),
    "step with too few arrays": put("steps", 0, "inputs", ["x"]),
    "step on an array that is missing": put("steps", 0, "inputs", ["x", "dz"]),
    "x and dy of different shapes": put("arrays", "dy", "shape", [3, 2]),
    "arrays that are no table": put("arrays", []),
    "config that is no table": put("config", 7),
    "step that is no table": put("steps", [7]),
    "extents that are words": put("arrays", "x", "shape", ["4", "2"]),
    "array that is no table": put("arrays", "x", 7),
}


def test_the_control_is_a_case() -> None:
    """What the spoilers spoil is well formed before they come."""
    assert Case.loads(json.dumps(plain())).arrays["x"].shape == (4, 2)


@pytest.mark.parametrize("fault", SPOILERS)
def test_a_malformed_case_raises_what_why_and_fix(fault: str) -> None:
    """A case comes from files and mails: whatever is wrong with it is the caller's error, and is said."""
    data = copy.deepcopy(plain())
    SPOILERS[fault](data)
    with pytest.raises(UsageError) as refused:
        Case.loads(json.dumps(data))
    assert refused.value.what
    assert refused.value.why
    assert refused.value.fix


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", "7", "null", '"case"', "{}", '{"buffers": 3}', '{"buffers": []}']
)
def test_text_that_is_no_case_is_refused(text: str) -> None:
    """Any file may be handed over by mistake."""
    with pytest.raises(UsageError):
        Case.loads(text)


def test_small_arrays_are_also_listed_as_numbers() -> None:
    """A reader sees the values of a small case without a decoder; those of a large one stay packed."""
    data = plain()
    assert data["values"]["x"] == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    case = Case.loads(json.dumps(data))
    large = case.with_(arrays={**case.arrays, "x": np.zeros((99, 2), np.float32), "dy": np.zeros((99, 2), np.float32)})
    assert "x" not in json.loads(large.dumps())["values"]
