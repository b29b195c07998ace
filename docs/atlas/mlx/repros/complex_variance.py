"""The variance of 1+1j and 3 in complex64: what is it? By the definition the mean of |x - mean|^2, 1.25."""

import mlx.core as mx
import numpy as np

print(np.array(mx.var(mx.array(np.array([1 + 1j, 3], np.complex64)))).item())
