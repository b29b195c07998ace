"""x [[1e30], [3e30]] in float32, whose variance overflows float32, not float64: what is y? By the definition -1 and 1."""

import numpy as np
from sklearn.preprocessing import StandardScaler

with np.errstate(all="ignore"):
    print(StandardScaler().fit_transform(np.array([[1e30], [3e30]], np.float32)).ravel().tolist())
