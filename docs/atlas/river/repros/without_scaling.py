"""A scaler with_std=False that learned 1 and 3: what is y of 5? By the definition 3, x less the mean."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

scaler = StandardScaler(with_std=False)
scaler.learn_many(DataFrame({"a": np.array([1.0, 3.0])}))
print(scaler.transform_one({"a": 5.0}))
