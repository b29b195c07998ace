"""inverse_transform of a list of one value, [1.], after [[1.], [3.]]: what comes?"""

import numpy as np
from sklearn.preprocessing import StandardScaler

print(StandardScaler().fit(np.array([[1.0], [3.0]])).inverse_transform([1.0]).tolist())
