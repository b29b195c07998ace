"""The harness's side of kernels: which form a file has, found without executing it."""
