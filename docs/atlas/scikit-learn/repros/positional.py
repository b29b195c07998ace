"""StandardScaler(False, False), copy and with_mean by position: is it a layer?"""

import numpy as np
from sklearn.preprocessing import StandardScaler

scaler = StandardScaler(False, False)
print(
    "copy %s, with_mean %s, y %s"
    % (scaler.copy, scaler.with_mean, scaler.fit_transform(np.array([[1.0], [3.0]])).ravel().tolist())
)
