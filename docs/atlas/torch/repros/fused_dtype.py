"""fuse_conv_bn_eval of a convolution in float16 and a batch normalization in float32: which dtype has the fused weight?"""

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

convolution, norm = torch.nn.Conv2d(1, 2, 1).half().eval(), torch.nn.BatchNorm2d(2).eval()
print(fuse_conv_bn_eval(convolution, norm).weight.dtype)
