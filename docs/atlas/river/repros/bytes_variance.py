"""A hundred times 100 and 101 in uint8, learned as a data frame: what is the variance? By the definition 0.25; no variance is negative."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

scaler = StandardScaler()
scaler.learn_many(DataFrame({"a": np.array([100, 101] * 100, np.uint8)}))
print(round(float(scaler.vars["a"]), 3))
