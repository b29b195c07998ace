"""False and True, learned and transformed as a data frame: what are mean, variance and y? By the definition 0.5, 0.25, and -1 and 1."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

frame, scaler = DataFrame({"a": np.array([False, True])}), StandardScaler()
scaler.learn_many(frame)
print(float(scaler.means["a"]), float(scaler.vars["a"]), scaler.transform_many(frame).to_numpy().ravel().tolist())
