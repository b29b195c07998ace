"""Hold a batch normalization in training mode to test vectors: read_vectors.py FAMILY.json MODULE:FUNCTION [TIER]."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "U8": "u1"}
path, (module, function), tier = Path(sys.argv[1]), sys.argv[2].split(":"), (sys.argv[3:] or ["permissive"])[0]
bn = getattr(importlib.import_module(module), function)  # y = bn(x, gamma, beta, epsilon, axis)
family = json.loads(path.read_text("utf-8"))
raw = path.with_name(family["arrays"]).read_bytes()
begin = 8 + int.from_bytes(raw[:8], "little")
header, failed = json.loads(raw[8:begin]), 0


def load(key):  # the array of this name, if any; a bfloat16 is the upper half of a float32
    entry = header[key] if key else {"dtype": "U8", "shape": [], "data_offsets": [0, 1]}
    data = raw[begin:][slice(*entry["data_offsets"])] if key else b"\0"
    array = np.frombuffer(data, TYPES[entry["dtype"]]).reshape(entry["shape"])
    return (array.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else array


for vector in family["vectors"]:
    config, (gamma, beta) = vector["config"], (vector["parameters"][n] for n in ("gamma", "beta"))
    for call in (c for c in vector["calls"] if c["mode"] == "training"):
        for y in (o for o in call["expected"] if o["output"] == "y"):
            x, epsilon = load(call["inputs"]["x"]), float.fromhex(config["epsilon"]["hex"])
            given = (load(gamma), load(beta)) if gamma else (None, None)
            got = np.asarray(bn(x, *given, epsilon, config["channel_axis"]), np.float64)
            value, rest, bound, code = (load(y[n]) for n in ("value", "residual", tier, "accept"))
            overflow = np.isinf(got) & (abs(value) + bound > float.fromhex(family["largest"][y["dtype"]]["hex"]))
            error = abs(np.where(overflow, np.copysign(value, got), got) - value - rest)
            wrong = np.select([code == 1, code == 2, bound < np.inf], [~np.isnan(got), False, ~(error <= bound)], False)
            failed += wrong.any()
            print("WRONG" if wrong.any() else "ok", vector["id"], f"{np.nanmax(error / bound):.2g}", vector["purpose"])
sys.exit(int(failed > 0))
