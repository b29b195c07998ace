"""fuse_conv_bn_eval of a frozen convolution: is the fused weight trainable?"""

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

convolution = torch.nn.Conv2d(1, 2, 1).eval().requires_grad_(False)
print(fuse_conv_bn_eval(convolution, torch.nn.BatchNorm2d(2).eval()).weight.requires_grad)
