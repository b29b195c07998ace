"""scale() of [[1e-30], [3e-30]]: what is y? By the definition -1 and 1, as StandardScaler says."""

import numpy as np
from sklearn.preprocessing import scale

print(scale(np.array([[1e-30], [3e-30]])).ravel().tolist())
