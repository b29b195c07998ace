"""A reader of test vectors, written from their documentation alone, that judges a layer of the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from bnspec.contract import LayerConfig

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "U8": "u1"}
WITHIN, IS_NAN, ANYTHING, IS_FINITE = range(4)


class Family:
    """One family's file and its arrays."""

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        raw = path.with_name(self.document["arrays"]).read_bytes()
        begin = 8 + int.from_bytes(raw[:8], "little")
        self.header: dict[str, Any] = json.loads(raw[8:begin])
        self.metadata = self.header.pop("__metadata__")
        self.data = raw[begin:]
        self.arrays = {key: self._array(entry) for key, entry in self.header.items()}

    def _array(self, entry: dict[str, Any]) -> np.ndarray:
        low, high = entry["data_offsets"]
        return np.frombuffer(self.data[low:high], TYPES[entry["dtype"]]).reshape(entry["shape"]).copy()

    def get(self, key: str | None) -> Any:
        """The array of this key; None for none."""
        return None if key is None else self.arrays[key]


def config_of(vector: dict[str, Any]) -> LayerConfig:
    """What the layer is built from."""
    given = dict(vector["config"])
    numbers = {n: float.fromhex(given.pop(n)["hex"]) for n in ("epsilon", "decay")}
    return LayerConfig(**given, **numbers)


def wrong_elements(family: Family, output: dict[str, Any], got: np.ndarray, tier: str) -> np.ndarray:
    """The elements that are not accepted according to the vectors' README."""
    value, rest, bound = (family.get(output[n]) for n in ("value", "residual", tier))
    code = np.zeros(value.shape, np.uint8) if output["accept"] is None else family.get(output["accept"])
    if got.shape != value.shape:
        return np.ones(value.shape, bool)
    largest = float.fromhex(family.document["largest"][output["dtype"]]["hex"])
    with np.errstate(invalid="ignore", over="ignore"):
        wide = got.astype(np.float64)
        near = np.abs(wide - value - rest) <= bound
        leaves = np.isinf(wide) & (wide * value > 0.0) & (np.abs(value) + bound > largest)
    within = near | leaves | np.isinf(bound)
    return ~np.choose(code, [within, np.isnan(wide), np.ones(value.shape, bool), np.isfinite(wide)])


def failures(family: Family, layer_class: type, correction: int, tier: str) -> list[tuple[str, str]]:
    """(vector, output) for every wrong result of a layer in batch-normalization vectors."""
    found = []
    for vector in family.document["vectors"]:
        config, layer = config_of(vector), None
        for call in vector["calls"]:
            if layer is None or not call["continues"]:
                held = {n: family.get(k) for n, k in vector["parameters"].items()}
                layer = layer_class(config, *(None if a is None else a.copy() for a in held.values()))
            inputs = [family.get(call["inputs"][n]).copy() for n in ("x", "dy") if n in call["inputs"]]
            try:
                results = results_of(layer, call["mode"], inputs)
            except Exception as error:  # noqa: BLE001  # a mutant may raise anything
                if "error" not in call["outcomes"]:
                    found.append((vector["id"], repr(error)))
                continue
            for output in call["expected"]:
                if output["correction"] in (None, correction):
                    got = results.get(output["output"])
                    if got is not None and wrong_elements(family, output, got, tier).any():
                        found.append((vector["id"], output["output"]))
    return found


def results_of(layer: Any, mode: str, inputs: list[np.ndarray]) -> dict[str, np.ndarray]:
    """The results of a call and the state after it, by output name."""
    with np.errstate(all="ignore"):
        if len(inputs) == 2:
            named = getattr(layer, mode + "_gradients")(*inputs)._asdict()
        else:
            named = {"y": getattr(layer, mode)(*inputs)}
    named.update(layer.state()._asdict())
    return {n: np.asarray(a) for n, a in named.items() if a is not None}
