"""Sample weights that are all 0: what is the mean of [[1], [3]]? By the definition there is none."""

import numpy as np
from sklearn.preprocessing import StandardScaler

with np.errstate(all="ignore"):
    print(StandardScaler().fit(np.array([[1.0], [3.0]]), sample_weight=[0, 0]).mean_.tolist())
