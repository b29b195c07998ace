"""x [[1e200], [3e200]], whose variance overflows float64: what is y? By the definition -1 and 1; 0 where it is divided by infinity."""

import numpy as np
from sklearn.preprocessing import StandardScaler

with np.errstate(all="ignore"):
    print(StandardScaler().fit_transform(np.array([[1e200], [3e200]])).ravel().tolist())
