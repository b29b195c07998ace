"""A scaler before a regression, asked for a prediction of x 3 before it learned anything: how many values has it seen? Inference changes no state."""

import numpy as np
from river.linear_model import LinearRegression
from river.preprocessing import StandardScaler

scaler = StandardScaler()
model = scaler | LinearRegression()
model.predict_one({"a": float(np.float64(3))})
print(int(scaler.counts["a"]))
