"""A checkpoint of the format before num_batches_tracked, loaded by a layer that has seen one batch: what does the count become?"""

import torch

layer = torch.nn.BatchNorm1d(1)
layer(torch.tensor([[1.0], [3.0]]))
state = torch.nn.BatchNorm1d(1).state_dict()
del state["num_batches_tracked"]
state._metadata[""]["version"] = 1
layer.load_state_dict(state)
print("num_batches_tracked is", int(layer.num_batches_tracked))
