"""Two channels of 4096 values, 10000 and 10001 in turn, channels last, training: what are the first y, mean and variance? -1 and 1, 10000.5, 0.25."""

import torch

torch.set_num_threads(1)
x = (1e4 + torch.arange(8192) // 2 % 2).reshape(1, 64, 64, 2).permute(0, 3, 1, 2)
layer = torch.nn.BatchNorm2d(2, momentum=1.0)
y = layer(x.float())[0, 0, 0, :2]
statistics = layer.running_mean[0], layer.running_var[0]
print([round(float(v), 2) for v in y], "mean %.2f, variance %.3f" % tuple(map(float, statistics)))
