"""What does learn_one of a scaler return: itself, so that calls can be chained, or nothing?"""

import numpy as np
from river.preprocessing import StandardScaler

print(type(StandardScaler().learn_one({"a": float(np.ones(()))})).__name__)
