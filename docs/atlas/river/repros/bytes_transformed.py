"""x [[1], [3]] in uint8, learned and transformed as a data frame: what is y? By the definition -1 and 1."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

frame, scaler = DataFrame({"a": np.array([1, 3], np.uint8)}), StandardScaler()
scaler.learn_many(frame)
y = scaler.transform_many(frame).to_numpy()
print(y.dtype, y.ravel().tolist())
