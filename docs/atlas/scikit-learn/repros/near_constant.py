"""A column of 1e15 but for one value of 1e15 + 1: what is the scale? Its standard deviation is 0.3, within rounding of 1e15."""

import numpy as np
from sklearn.preprocessing import StandardScaler

x = np.full((10, 1), 1e15)
x[0] += 1
print("scale %.3g" % StandardScaler().fit(x).scale_[0])
