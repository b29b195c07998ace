"""scale(x, axis=-1), the last axis of [[1, 3], [5, 9]]: what is y? By NumPy's meaning of -1 rows of -1 and 1."""

import numpy as np
from sklearn.preprocessing import scale

print(scale(np.array([[1.0, 3.0], [5.0, 9.0]]), axis=-1).ravel().tolist())
