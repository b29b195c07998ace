"""BatchNorm without a mode: which does it take, training by the batch's statistics or by moving averages?"""

import equinox as eqx
import numpy as np

options = {"input_size": int(np.ones(())), "axis_name": "batch"}
layer = eqx.nn.BatchNorm(**options)
print(getattr(layer, "mode", "it has one mode"))
