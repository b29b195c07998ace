"""Reading the file of a case that anybody may have written: bounded, typed, and with names of known forms only.

Nothing of it is inflated, built or looked up before it is known to be small and to have the form that ``Case.dumps`` writes.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from bnspec.errors import UsageError
from bnspec.model.call import CALLS
from bnspec.model.names import ARRAY, RELATION, fits
from bnspec.model.vocabulary import NETWORKS, SUBJECTS

#: A file's characters; the bytes of all buffers once inflated, and of all arrays with the elements that a view repeats.
TEXT_AT_MOST, BYTES_AT_MOST = 64 << 20, 256 << 20
#: Brackets open at once; arrays; steps; axes.
DEPTH_AT_MOST, ARRAYS_AT_MOST, STEPS_AT_MOST, AXES_AT_MOST = 24, 4096, 1024, 32
#: The largest magnitude of a whole number.
WHOLE_AT_MOST = 2**48
#: Threads that a step may ask for.
THREADS_AT_MOST = 1024

#: Bytes of an element of each dtype that an array may have, and those of a layer.
ITEMSIZE = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "uint8": 1, "bool": 1}
FLOATING = ("float64", "float32", "float16", "bfloat16")

#: A string, also one that the text ends in: each match ends where the next may begin, so that no text takes long.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
Check = Callable[[Any], bool]


class Malformed(ValueError):
    """The text is no saved case; the message says why, without its full stop."""


def nested_deeper(text: str, most: int) -> bool:
    """Whether a JSON text has more than so many brackets open at once; those in strings do not count."""
    if text.count("[") + text.count("{") <= most:
        return False
    data, opened, size = _STRING.sub("", text).encode("ascii", "replace"), 0, 1 << 20
    for begin in range(0, len(data), size):
        signs = np.frombuffer(data[begin : begin + size], np.uint8)
        steps = np.isin(signs, (ord("["), ord("{"))).astype(np.int64) - np.isin(signs, (ord("]"), ord("}")))
        counts = opened + np.cumsum(steps)
        if int(counts.max()) > most:
            return True
        opened = int(counts[-1])
    return False


def read(text: str) -> Tuple[Dict[str, Any], List[bytes]]:
    """The data of a saved case and its buffers. Raises UsageError: the text is none, or is beyond a limit."""
    try:
        return _read(text)
    except Malformed as problem:
        raise UsageError(
            "this is not a saved case: %s." % problem,
            "a case is a JSON document of the form that bnspec writes; see bnspec/model/saved_case.py for its limits.",
            "check the path, or write the case again with bnspec.",
        ) from None


def _read(text: str) -> Tuple[Dict[str, Any], List[bytes]]:
    demand(len(text) <= TEXT_AT_MOST, "it has more than %d MiB" % (TEXT_AT_MOST >> 20))
    demand(not nested_deeper(text, DEPTH_AT_MOST), "more than %d of its brackets are open at once" % DEPTH_AT_MOST)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error) or type(error).__name__) from None
    demand(isinstance(data, dict), "it is no JSON object")
    for name, kind in (
        ("schema", str),
        ("subject", str),
        ("config", dict),
        ("arrays", dict),
        ("steps", list),
        ("buffers", list),
    ):
        demand(isinstance(data.get(name), kind), "%s is missing or no %s" % (name, kind.__name__))
    demand(
        data["subject"] in SUBJECTS,
        "subject is %s, and must be one of %s" % (shown(data["subject"]), ", ".join(SUBJECTS)),
    )
    demand(isinstance(data.get("origin", {}), dict), "origin is no object")
    _config(data["config"])
    buffers = inflated(data["buffers"])
    _arrays(data["arrays"], len(buffers))
    demand(
        0 < len(data["steps"]) <= STEPS_AT_MOST,
        "it has %d steps, and must have 1 to %d" % (len(data["steps"]), STEPS_AT_MOST),
    )
    for number, step in enumerate(data["steps"]):
        _step(number, step)
    return data, buffers


def demand(holds: bool, problem: str) -> None:
    """Raise Malformed unless it holds."""
    if not holds:
        raise Malformed(problem)


def shown(value: Any) -> str:
    """A value of the file in a message: as a literal of at most 60 characters."""
    return ascii(value)[:60] if isinstance(value, (str, int, float, bool, type(None))) else "a " + type(value).__name__


def whole(low: int, high: int = WHOLE_AT_MOST) -> Check:
    """Whether a value is a whole number between two ends."""
    return lambda value: type(value) is int and low <= value <= high


def number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return type(value) in (int, float) and abs(value) <= 1e300 and math.isfinite(value)


def name(value: Any) -> bool:
    """Whether a value is the name of an array."""
    return fits(ARRAY, value)


#: What each field of a configuration must be.
CONFIG: Mapping[str, Check] = {
    "rank": whole(1, AXES_AT_MOST),
    "channel_axis": whole(0, AXES_AT_MOST),
    "channels": whole(0),
    "epsilon": number,
    "decay": number,
    "dtype": lambda value: value in FLOATING,
    "parameter_dtype": lambda value: value in FLOATING,
    "affine": lambda value: type(value) is bool,
}
#: What each option of a step must be.
OPTIONS: Mapping[str, Check] = {
    **dict.fromkeys(("gamma", "beta", "running_mean", "running_var"), name),
    "epsilon": number,
    "decay": number,
    "learning_rate": number,
    "rank": whole(1, AXES_AT_MOST),
    "channel_axis": whole(0, AXES_AT_MOST),
    "threads": whole(0, THREADS_AT_MOST),
    "initial": lambda value: type(value) is bool,
    "wanted": lambda value: isinstance(value, str) and {*value.split()} <= {"dx", "dgamma", "dbeta"},
    "relation": lambda value: fits(RELATION, value),
    "network": lambda value: value in NETWORKS,
}


def _config(config: Mapping[str, Any]) -> None:
    for field, check in CONFIG.items():
        demand(field in config or field == "affine", "the configuration has no %s" % field)
        if field in config:
            demand(
                not isinstance(config[field], (list, dict)) and check(config[field]),
                "%s is %s" % (field, shown(config[field])),
            )
    unknown = sorted(set(config) - set(CONFIG))
    demand(
        not unknown,
        "the configuration has the field %s, known are %s" % (shown(unknown[:1] and unknown[0]), ", ".join(CONFIG)),
    )


def _arrays(arrays: Mapping[str, Any], buffers: int) -> None:
    demand(len(arrays) <= ARRAYS_AT_MOST, "it has more than %d arrays" % ARRAYS_AT_MOST)
    reached = 0
    for key, spec in arrays.items():
        demand(name(key), "an array has the name %s" % shown(key))
        demand(isinstance(spec, dict), "array %s is no object" % key)
        lists = [spec.get(n) for n in ("shape", "strides")]
        demand(
            spec.get("dtype") in ITEMSIZE if isinstance(spec.get("dtype"), str) else False,
            "array %s has the dtype %s" % (key, shown(spec.get("dtype"))),
        )
        demand(
            all(isinstance(v, list) and len(v) <= AXES_AT_MOST for v in lists),
            "array %s has no lists of extents and strides" % key,
        )
        demand(all(whole(0)(n) for n in spec["shape"]), "array %s has an extent that is none" % key)
        demand(all(whole(-WHOLE_AT_MOST)(n) for n in spec["strides"]), "array %s has a stride that is none" % key)
        demand(whole(0)(spec.get("offset")), "array %s has the offset %s" % (key, shown(spec.get("offset"))))
        demand(
            whole(0, buffers - 1)(spec.get("buffer")),
            "array %s lies in buffer %s of %d" % (key, shown(spec.get("buffer")), buffers),
        )
        size = ITEMSIZE[spec["dtype"]]
        for extent in spec["shape"]:
            size *= extent
        reached += size
        demand(reached <= BYTES_AT_MOST, "its arrays take more than %d MiB" % (BYTES_AT_MOST >> 20))


def inflated(packed: List[Any]) -> List[bytes]:
    """The buffers, none larger than it says, and all together within the limit. Raises Malformed."""
    demand(len(packed) <= ARRAYS_AT_MOST, "it has more than %d buffers" % ARRAYS_AT_MOST)
    demand(all(isinstance(b, dict) for b in packed), "a buffer is no object")
    demand(all(whole(0)(b.get("nbytes")) for b in packed), "a buffer does not say its number of bytes")
    demand(
        sum(b["nbytes"] for b in packed) <= BYTES_AT_MOST, "its buffers take more than %d MiB" % (BYTES_AT_MOST >> 20)
    )
    found = []
    for number_of, buffer in enumerate(packed):
        demand(isinstance(buffer.get("zlib_base64"), str), "buffer %d has no content" % number_of)
        try:
            inflater = zlib.decompressobj()
            # one byte more than it says, at most: what would be larger is seen, and not made
            data = inflater.decompress(base64.b64decode(buffer["zlib_base64"], validate=True), buffer["nbytes"] + 1)
        except (ValueError, zlib.error) as error:
            raise Malformed("buffer %d cannot be inflated: %s" % (number_of, error)) from None
        whole_of = len(data) == buffer["nbytes"] and inflater.eof and not inflater.unused_data
        demand(whole_of, "buffer %d does not hold the %d bytes that it says" % (number_of, buffer["nbytes"]))
        found.append(data)
    return found


def _step(number_of: int, step: Any) -> None:
    demand(isinstance(step, dict), "step %d is no object" % number_of)
    unknown = sorted(set(step) - {"call", "inputs", "fresh", "options", "refused"})
    demand(not unknown, "step %d has the field %s" % (number_of, shown(unknown[:1] and unknown[0])))
    call, inputs, options = step.get("call"), step.get("inputs"), step.get("options", {})
    demand(
        isinstance(call, str) and call in CALLS,
        "step %d calls %s, known are %s" % (number_of, shown(call), ", ".join(CALLS)),
    )
    demand(isinstance(inputs, list) and len(inputs) <= ARRAYS_AT_MOST, "step %d has no list of inputs" % number_of)
    for key in inputs or ():
        demand(name(key), "step %d names the array %s" % (number_of, shown(key)))
    said = {"fresh": step.get("fresh"), "refused": step.get("refused", False)}
    for field, value in said.items():
        demand(type(value) is bool, "step %d does not say whether it is %s" % (number_of, field))
    demand(isinstance(options, dict), "the options of step %d are no object" % number_of)
    for option, value in options.items():
        demand(
            option in OPTIONS,
            "step %d has the option %s, known are %s" % (number_of, shown(option), ", ".join(OPTIONS)),
        )
        demand(
            not isinstance(value, (list, dict)) and OPTIONS[option](value),
            "step %d has %s as %s" % (number_of, shown(value), option),
        )
