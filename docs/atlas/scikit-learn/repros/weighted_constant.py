"""A constant column of 5 with weights 0.1, 0.2 and 0.3: what are variance and scale? By the definition 0, and 1 in its place."""

import numpy as np
from sklearn.preprocessing import StandardScaler

fitted = StandardScaler().fit(np.full((3, 1), 5.0), sample_weight=[0.1, 0.2, 0.3])
print("variance %.3g, scale %.3g" % (fitted.var_[0], fitted.scale_[0]))
