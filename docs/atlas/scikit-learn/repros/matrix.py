"""An np.matrix [[1.], [3.]]: what is y?"""

import numpy as np
from sklearn.preprocessing import StandardScaler

print(np.asarray(StandardScaler().fit_transform(np.matrix([[1.0], [3.0]]))).ravel().tolist())
