"""The PaddlePaddle backends."""
