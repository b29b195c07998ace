"""The torchao backends."""
