"""What is handed to a worker of a kernel: its form, where it is, and the conventions that were inferred.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, Mapping, Optional, Tuple

from bnspec.errors import UsageError
from bnspec.model.conventions import MomentumWeighs

#: The environment variable of a worker that names its kernel.
VARIABLE = "BNSPEC_KERNEL"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel, named by the user.

    Attributes:
        form: "callable", "module", "operator", "shared object", ...: see ``bnspec.backends.kernels.harness.recognise``.
        path: of its file; name: of the function, class or operator in it.
        arrays: what a callable takes: "numpy", "torch" or "jax" arrays.
        backward: the function that computes gradients; "" where there is none.
        interpreted: what interprets it in place of the device it was written for; "" where nothing does.
        momentum_weighs: the value that its number called momentum weighs, "new" or "old", as far as is known.
        watched: whether raw memory is watched, which takes time.
        shape, dtype, epsilon: of the only x that it takes, and the only epsilon; () and None where it takes others, too. An extent that
            is open is None.
        run_by: what runs it, where its form does not say it; replaced: what its file holds, and takes the case's values.
        folder: for what is unpacked or built, shared by the workers of a judgement; "" where there is none.
        conventions: those that were inferred; None before.
    """

    form: str
    path: str
    name: str
    arrays: str = "numpy"
    backward: str = ""
    interpreted: str = ""
    momentum_weighs: MomentumWeighs = "new"
    watched: bool = True
    shape: Tuple[Optional[int], ...] = ()
    dtype: str = "float32"
    epsilon: Optional[float] = None
    run_by: str = ""
    replaced: Tuple[str, ...] = ()
    folder: str = ""
    conventions: Optional[Mapping[str, Any]] = None

    def variable(self) -> Mapping[str, str]:
        """The environment variables that tell a worker of it."""
        interpreter = {"TRITON_INTERPRET": "1"} if self.interpreted == "triton" else {}
        return {VARIABLE: json.dumps(dataclasses.asdict(self)), **interpreter}


def named_kernel() -> Kernel:
    """The kernel of this worker. Raises UsageError: none is named."""
    if VARIABLE not in os.environ:
        raise UsageError("no kernel is named.", "%s is not set." % VARIABLE, "use bnspec judge KERNEL.")
    fields = json.loads(os.environ[VARIABLE])
    return Kernel(**{**fields, "shape": tuple(fields["shape"]), "replaced": tuple(fields["replaced"])})
