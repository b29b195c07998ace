"""The adapter around a kernel, whatever its form: opens it, finds what it offers, and builds its layers.

Runs in workers: Python 3.8, standard library, NumPy and the framework of the kernel.
"""

from __future__ import annotations

import abc
from typing import Any, Mapping, Optional, Tuple

from bnspec.backends.kernels.kernel import Kernel, named_kernel
from bnspec.backends.kernels.layer import KernelLayer, supplied, unjudged
from bnspec.backends.kernels.offers import Offers, offers_of
from bnspec.backends.kernels.procedure import Procedure
from bnspec.contract import Adapter, Conventions, LayerConfig

#: What no device does, and no kernel can help.
TRUNCATED = "since Triton's interpreter truncates what it should round to it"


class KernelAdapter(Adapter):
    """The kernel that ``BNSPEC_KERNEL`` names. Subclasses say how its procedures are found."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.kernel: Kernel = named_kernel()
        self.forward_pass, self.backward_pass = self.procedures(self.kernel)
        given = self.kernel.conventions
        self.look_for_reads(False)
        offers = self.offers()
        self.look_for_reads(given is not None)  # an experiment asks what is computed
        if self.kernel.interpreted == "triton":
            offers = offers.without("bfloat16", TRUNCATED)
        self.meaning: Mapping[str, str] = offers.meaning
        self.results, self.unjudged = offers.results, offers.unjudged
        self.overruns()  # of the calls that were made to find this out; the suite will ask again
        self.conventions = offers.conventions if given is None else Conventions.from_json(given)

    def look_for_reads(self, wanted: bool) -> None:
        """Whether calls are repeated to find what is read beside the arrays: an interpreted kernel takes long."""
        for procedure in (self.forward_pass, self.backward_pass):
            if procedure is not None and procedure.watch is not None:
                procedure.watch.repeats = wanted

    @abc.abstractmethod
    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The forward pass, and the backward pass where there is one. Raises UsageError: the file holds no such function."""

    def offers(self) -> Offers:
        """What it offers; found by calling it, where the file does not say it."""
        return offers_of(self.forward_pass)

    def found(self) -> Mapping[str, Any]:
        """What is known of it here alone: fields of ``bnspec.backends.kernels.harness.found.Found``."""
        return {"unjudged": list(self.unjudged)}

    def overruns(self) -> Tuple[str, ...]:
        """What the kernel read or wrote beside its arrays."""
        backward = () if self.backward_pass is None else self.backward_pass.overruns()
        return (*self.forward_pass.overruns(), *backward)


class FunctionAdapter(KernelAdapter):
    """A kernel of functions: what it keeps between calls, its layer keeps."""

    def found(self) -> Mapping[str, Any]:
        """What is not the kernel's own among what is judged, and what of it is not judged."""
        given = (self.forward_pass, self.backward_pass, self.results)
        return {"supplied": supplied(*given), "unjudged": [*self.unjudged, *unjudged(*given)]}

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> KernelLayer:
        """A layer over these arrays."""
        parameters = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
        passes = (self.forward_pass, self.backward_pass)
        return KernelLayer(*passes, self.meaning, self.kernel.momentum_weighs, config, parameters)
