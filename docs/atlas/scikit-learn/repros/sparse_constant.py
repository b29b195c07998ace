"""A sparse column of a hundred times 0.1: what are variance and scale? By the definition 0, and 1 in its place."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.preprocessing import StandardScaler

fitted = StandardScaler(with_mean=False).fit(csr_matrix(np.full((100, 1), 0.1)))
print("variance %.3g, scale %.3g" % (fitted.var_[0], fitted.scale_[0]))
