"""What a framework's writer of scripts owes: the lines that a user of the framework would write for a case.

A script declares the arrays, builds the layer, performs the steps, and looks at a result. Only the look is the same
everywhere; a writer gives the other lines, as its backend's adapter performs them.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np

from bnspec.case import Case, Step
from bnspec.conformance.repro.literals import Literal, NoScript, literal


class Writer(abc.ABC):
    """One case in one framework's words.

    Attributes:
        packages: whose releases the script names.
        imports: the lines that open the framework, without sys and NumPy.
        environment: variables that the script is to be run with, e.g. "JAX_PLATFORMS=cpu", or empty.
    """

    packages: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    environment = ""

    def __init__(self, case: Case, device: str, wanted: str) -> None:
        """``wanted``: the output that the script looks at, for lines that only some outputs need."""
        self.case, self.config, self.device, self.wanted = case, case.config, device, wanted
        if device.partition(":")[0] not in self.devices():
            raise NoScript(f"scripts for {device} are not written for this backend")

    def devices(self) -> Sequence[str]:
        """The kinds of device that it writes for."""
        return ("cpu",)

    def preamble(self) -> list[str]:
        """Lines between the imports and the arrays."""
        return []

    def array(self, name: str) -> str:
        """An array of the case as an expression; a part of x is cut out of it."""
        base, _, rows = name.partition("[")
        if rows and self.is_part(name):
            return f"{base}[{rows}"
        return self.tensor(literal(name, self.laid_out(self.case.arrays[name])))

    def is_part(self, name: str) -> bool:
        """Whether the array "x[2:3]" is that part of x in memory, too."""
        base, _, rows = name.partition("[")
        if not rows or base not in self.case.arrays:
            return False
        begin, end = (int(k) for k in rows[:-1].split(":"))
        whole, part = self.case.arrays[base][begin:end], self.case.arrays[name]
        return whole.shape == part.shape and whole.strides == part.strides and whole.tobytes() == part.tobytes()

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """The array as it enters the framework: what the adapter packs is packed."""
        return array

    @abc.abstractmethod
    def tensor(self, value: Literal) -> str:
        """An array as an expression that makes the framework's tensor."""

    @abc.abstractmethod
    def build(self) -> list[str]:
        """Lines that build the layer from the case's parameters and state."""

    @abc.abstractmethod
    def restart(self) -> list[str]:
        """Lines that put the state back to where the case starts from."""

    @abc.abstractmethod
    def call(self, step: Step, y: str) -> list[str]:
        """Lines that perform a step and name its results: y as given; dx, dgamma and dbeta by these names."""

    @abc.abstractmethod
    def variable(self, name: str) -> str:
        """The expression of dx, dgamma, dbeta, gamma, beta, the running statistics, or a scaler's mean and var."""

    def element(self, expression: str, index: str) -> str:
        """One element of a result as a Python number."""
        return f"float({expression}[{index}])"

    def host(self, expression: str) -> str:
        """A result as a NumPy array, for its bits and its memory."""
        return f"np.asarray({expression})"

    def dtype(self, expression: str) -> str:
        """The name of a result's dtype."""
        return f"{self.host(expression)}.dtype.name"

    def shape(self, expression: str) -> str:
        """A result's shape as a tuple."""
        return f"tuple({expression}.shape)"


def names_of(step: Step) -> list[str]:
    """The arrays that a step takes."""
    return list(dict.fromkeys(step.inputs))


def python_name(name: str) -> str:
    """The variable of an array: "x[2:3]" that is no part of x in memory is called part."""
    return "part" if "[" in name else name


def default_state(case: Case) -> bool:
    """Whether the state is what layers start from: 0 and 1."""
    return not case.arrays["running_mean"].any() and bool((case.arrays["running_var"] == 1).all())


def default_parameters(case: Case) -> bool:
    """Whether gamma and beta are what layers start from: absent, or 1 and 0."""
    if not case.config.affine:
        return True
    return bool((case.arrays["gamma"] == 1).all()) and not case.arrays["beta"].any()
