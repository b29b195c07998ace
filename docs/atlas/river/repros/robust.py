"""RobustScaler that learned 1, 3, 9, 4 and 2, of 2: what is y? (2 - median 3) / (third quartile 4 - first 2), -0.5."""

import numpy as np
from river.preprocessing import RobustScaler

scaler = RobustScaler()
for value in np.array([1.0, 3.0, 9.0, 4.0, 2.0]).tolist():
    scaler.learn_one({"a": value})
print(scaler.transform_one({"a": 2.0}))
