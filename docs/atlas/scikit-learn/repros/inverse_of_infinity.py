"""inverse_transform of infinity after [[1.], [3.]]: what comes?"""

import numpy as np
from sklearn.preprocessing import StandardScaler

print(StandardScaler().fit(np.array([[1.0], [3.0]])).inverse_transform(np.array([[np.inf]])).ravel().tolist())
