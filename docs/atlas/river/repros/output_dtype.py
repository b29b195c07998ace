"""x [[1], [3]] in float32, learned and transformed as a data frame: of which dtype is y? By the definition x's."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

frame, scaler = DataFrame({"a": np.array([1, 3], np.float32)}), StandardScaler()
scaler.learn_many(frame)
print(scaler.transform_many(frame).to_numpy().dtype)
