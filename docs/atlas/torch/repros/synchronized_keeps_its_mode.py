"""convert_sync_batchnorm of a layer in eval(): is the new one in training?"""

import torch

layer = torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.BatchNorm1d(1).eval())
print("training" if layer.training else "inference")
