"""x [[1], [3]] in a data frame whose column is named by the number 0, as pandas names it, learned and transformed: what is y? -1 and 1."""

import numpy as np
from pandas import DataFrame
from river.preprocessing import StandardScaler

frame, scaler = DataFrame(np.array([[1.0], [3.0]])), StandardScaler()
scaler.learn_many(frame)
print(scaler.transform_many(frame).to_numpy().ravel().tolist())
