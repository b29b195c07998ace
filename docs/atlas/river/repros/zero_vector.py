"""Normalizer of a row that is 0: what is y? Of a vector without a direction the definition has none."""

import numpy as np
from river.preprocessing import Normalizer

print(Normalizer().transform_one({"a": float(np.zeros(())), "b": 0.0}))
