"""inverse_transform of the integer 1 after [[1.], [4.]]: what comes? By the definition 4."""

import numpy as np
from sklearn.preprocessing import StandardScaler

print(StandardScaler().fit(np.array([[1.0], [4.0]])).inverse_transform(np.array([[1]])).ravel().tolist())
