"""x [1, 3] in pandas' nullable Int64: what does the scaler learn? Mean 2, variance 1."""

import numpy as np
import pandas
from river.preprocessing import StandardScaler

scaler = StandardScaler()
scaler.learn_many(pandas.DataFrame({"a": pandas.array(np.array([1, 3]), dtype="Int64")}))
print(float(scaler.means["a"]), float(scaler.vars["a"]))
