"""x channels last, training: is y channels last, too?"""

import torch

x = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
y = torch.nn.BatchNorm2d(3)(x)
print("channels last" if y.is_contiguous(memory_format=torch.channels_last) else "packed with the channels first")
