"""copy=False and an x that cannot be written: what is y for [[1], [3]]?"""

import numpy as np
from sklearn.preprocessing import StandardScaler

x = np.array([[1.0], [3.0]])
x.flags.writeable = False
print(StandardScaler(copy=False).fit_transform(x).ravel().tolist())
