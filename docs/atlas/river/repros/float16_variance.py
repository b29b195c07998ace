"""A hundred times 100 and 101 in float16, learned as a data frame: what is the variance? By the definition 0.25."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

scaler = StandardScaler()
scaler.learn_many(DataFrame({"a": np.array([100, 101] * 100, np.float16)}))
print(round(float(scaler.vars["a"]), 3))
