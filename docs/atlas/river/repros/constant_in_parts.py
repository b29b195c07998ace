"""The constant 0.1 learned in parts of 3, 5 and 1 rows, then transformed: what is y? By the definition 0; rounding makes no error of it."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

scaler = StandardScaler()
for rows in (3, 5, 1):
    scaler.learn_many(DataFrame({"a": np.full(rows, 0.1)}))
print(scaler.transform_many(DataFrame({"a": np.full(1, 0.1)})).to_numpy().ravel().tolist())
