"""Functions on two host devices: each has its rows of x, under an axis name, by ``jax.shard_map``.

Source: https://docs.jax.dev/en/latest/notebooks/shard_map.html
"""

from __future__ import annotations

import os
from typing import Any, Callable, Optional, Tuple

import numpy as np

from bnspec.backends.jax.common import JaxAdapter
from bnspec.contract import DeviceAbsent

#: The name of the replicas' axis, and how many there are.
AXIS, REPLICAS = "replicas", 2
#: XLA's flag that makes devices of the CPU; it is read when JAX opens the CPU.
FLAG = "--xla_force_host_platform_device_count"


class ReplicaAdapter(JaxAdapter):
    """JAX on two devices made of the CPU, with arrays on both."""

    def __init__(self, device: str = "cpu") -> None:
        if device != "cpu":
            raise DeviceAbsent("%s: the replicas are devices made of the CPU" % device)
        flags = os.environ.get("XLA_FLAGS", "")
        if FLAG not in flags:
            os.environ["XLA_FLAGS"] = ("%s %s=%d" % (flags, FLAG, REPLICAS)).strip()
        super().__init__(device)
        found = self.jax.devices("cpu")
        if len(found) < REPLICAS:
            raise DeviceAbsent("JAX has opened the CPU as %d device(s), and %d are needed" % (len(found), REPLICAS))
        if not hasattr(self.jax, "shard_map"):
            raise ImportError("this release has no jax.shard_map")
        sharding = self.jax.sharding
        self.mesh = sharding.Mesh(np.array(found[:REPLICAS]), (AXIS,))
        self.everywhere = sharding.NamedSharding(self.mesh, sharding.PartitionSpec())

    def tensor(self, array: np.ndarray) -> Any:
        """A JAX array, whole on each device."""
        return self.jax.device_put(array, self.everywhere)

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """Unknown of an array on several devices."""
        return None if len(getattr(tensor, "devices", tuple)()) > 1 else super().extent(tensor)

    def mapped(self, function: Callable[..., Any], x: Any, mask: Any, *whole: Any) -> Any:
        """``function(x, mask, *whole)`` on each device's rows of x and mask: y of the same rows, and a second result that is equal.

        Rows that cannot be divided are all of them on each device: then the mean over devices is that of equal numbers.
        """
        spec = self.jax.sharding.PartitionSpec
        rows = spec(AXIS) if x.shape[0] % REPLICAS == 0 else spec()
        given = (rows, None if mask is None else rows, *(spec() for _ in whole))
        run = self.jax.shard_map(function, mesh=self.mesh, in_specs=given, out_specs=(rows, spec()))
        return run(x, mask, *whole)
