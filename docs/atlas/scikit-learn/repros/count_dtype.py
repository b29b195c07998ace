"""The count of rows of a float64 table without missing values, n_samples_seen_: of which dtype is it?"""

import numpy as np
from sklearn.preprocessing import StandardScaler

print(np.asarray(StandardScaler().fit(np.array([[1.0], [3.0]])).n_samples_seen_).dtype)
