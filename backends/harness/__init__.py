"""The harness side of backends: the registry, targets, the launcher of worker processes, and environments."""
