"""What a framework's writer of scripts owes: the lines that a user of the framework would write for a case.

A script declares the arrays, builds the layer, performs the steps, and asserts something of a result. Only the assertion is
the same everywhere; a writer gives the other statements, as its backend's adapter performs them.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Sequence

import numpy as np

from bnspec.backends.harness.scripts.literals import Literal, NoScript, drawn, literal
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.model.call import Mode
from bnspec.model.case import SEPARATOR, Case, Step
from bnspec.model.draws import recorded_draws


class Writer(abc.ABC):
    """One case in one framework's words.

    Attributes:
        packages: whose releases the script names.
        imports: the lines that open the framework; NumPy is imported where a script reads it.
        environment: variables that the script is to be run with, e.g. "JAX_PLATFORMS=cpu", or empty.
        case, config: the case as the layer in hand sees it, and that layer's configuration.
        differentiates: whether there is a backward pass to write.
        makes_initial: whether it writes layers with the framework's own parameters and state.
        initial: whether the layer in hand starts from the framework's own parameters and state.
        frozen: whether it has been marked as not trainable.
        chunks: the arrays of the first fit, which a script that has to be short keeps in one list.
    """

    packages: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    environment = ""
    differentiates = True
    makes_initial = False

    def __init__(self, case: Case, device: str, wanted: str, compact: bool = False) -> None:
        """Args:
        wanted: the output that the script asserts something of, for statements that only some outputs need.
        compact: whether only what ``wanted`` needs is computed, because the whole call takes too many statements.
        """
        self.case, self.config, self.device, self.wanted = case, case.config, device, wanted
        self.compact = compact
        fits = [s for s in case.steps if s.call.kind == "fit"]
        self.chunks = tuple(dict.fromkeys(fits[0].inputs)) if compact and fits and len(fits[0].inputs) > 1 else ()
        self.given_case, self.initial, self.frozen = case, False, False
        self.in_hand: object = None  # what the layer in hand was built with; None: it cannot be put back to that
        self.aside = (self.config, self.frozen)  # those of the copy that the layer in hand changes places with
        self.extra: list[str] = []  # modules of the standard library that the lines so far need
        if device.partition(":")[0] not in self.devices():
            raise NoScript(f"scripts for {device} are not written for this backend")

    def devices(self) -> Sequence[str]:
        """The kinds of device that it writes for."""
        return ("cpu",)

    def preamble(self) -> Lines:
        """Lines between the imports and the arrays."""
        return []

    def array(self, name: str) -> str:
        """An array of the case as an expression; a part of x is cut out of it."""
        base, _, rows = name.partition("[")
        if rows and self.is_part(name):
            return f"{base}[{rows}"
        array = self.laid_out(self.case.arrays[name])
        return self.tensor(drawn(array, recorded_draws(self.given_case.origin, name)) or literal(name, array))

    def is_part(self, name: str) -> bool:
        """Whether the array "x[2:3]" is that part of x in memory, too."""
        base, _, rows = name.partition("[")
        if not rows or SEPARATOR in name or base not in self.case.arrays:
            return False
        begin, end = (int(k) for k in rows[:-1].split(":"))
        whole, part = self.case.arrays[base][begin:end], self.case.arrays[name]
        return whole.shape == part.shape and whole.strides == part.strides and whole.tobytes() == part.tobytes()

    def given(self, name: str) -> str:
        """An input as it is named in the script."""
        if name in self.chunks:
            return f"chunks[{self.chunks.index(name)}]"
        return name if self.is_part(name) else python_name(name)

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """The array as it enters the framework: what the adapter packs is packed."""
        return array

    def begin(self, k: int) -> Lines:
        """Lines that build the layer of step k, or that put the one in hand back to where it began, if that is the same."""
        step, overrides = self.given_case.steps[k], self.given_case.overrides(k)
        again = self.in_hand == overrides and not step.option("initial")
        self.case = self.given_case.overridden(overrides)
        self.config, self.in_hand = self.case.config, overrides
        self.initial, self.frozen = bool(step.option("initial")), False
        if self.initial and not self.makes_initial:
            raise NoScript("no lines are written here for a layer with the framework's own parameters and state")
        threads = self.use_threads(int(step.option("threads"))) if step.option("threads") else []
        if again and self.compact and not self.depends_on_state():
            return threads
        return [*threads, *(self.restart() if again else self.build())]

    def depends_on_state(self) -> bool:
        """Whether what the script asserts depends on the statistics: no result of a training pass does."""
        return "inference" in self.modes() or self.wanted.startswith(("running_", "state"))

    def perform(self, step: Step, y: str) -> Lines:
        """Lines of any step; see ``call``. Raises NoScript: this framework's lines for it are not written."""
        if step.call.between:
            self.in_hand = None
            lines, here = self.between(step), (self.config, self.frozen)
            if step.call.kind == "clone":
                self.aside = here
            elif step.call.kind == "swap":
                (self.config, self.frozen), self.aside = self.aside, here
            return lines
        kind = step.call.kind
        if kind == "some_gradients":
            self.in_hand = None
            return self.some_gradients(step, y, [n for n in str(step.option("wanted")).split() if self.has(n)])
        special = {
            "second_order": self.second_order,
            "tangent": self.tangent,
            "late_gradients": self.late_gradients,
            "state_gradients": self.state_gradients,
            "third_order": self.third_order,
            "tangent_gradient": self.tangent_gradient,
        }
        special |= dict.fromkeys(("masked", "masked_gradients"), self.masked)
        return special.get(kind, self.call)(step, y)

    def wants_gradient(self) -> bool:
        """Whether the script asserts something of a gradient, or of the whole call."""
        return self.wanted in ("dx", "dgamma", "dbeta", "state")

    def has(self, gradient: str) -> bool:
        """Whether the layer has this gradient: without affine only dx."""
        return gradient == "dx" or self.config.affine

    def use_threads(self, count: int) -> Lines:
        """Lines after which calls use so many threads."""
        raise NoScript("this framework cannot change its number of threads")

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """Lines that compute y and the wanted of dx, dgamma, dbeta."""
        raise NoScript(f"no lines are written here for {step.call}")

    def late_gradients(self, step: Step, y: str) -> Lines:
        """Lines of a forward pass, a training step, and the backward pass of the first."""
        raise NoScript(f"no lines are written here for {step.call}")

    def state_gradients(self, step: Step, y: str) -> Lines:
        """Lines of a pass whose loss reads the new running statistics, and of its gradients."""
        raise NoScript(f"no lines are written here for {step.call}")

    def second_order(self, step: Step, y: str) -> Lines:
        """Lines that compute by_x, by_dy and by_gamma."""
        raise NoScript(f"no lines are written here for {step.call}")

    def third_order(self, step: Step, y: str) -> Lines:
        """Lines that compute third."""
        raise NoScript(f"no lines are written here for {step.call}")

    def tangent_gradient(self, step: Step, y: str) -> Lines:
        """Lines that compute by_x, the gradient of a tangent."""
        raise NoScript(f"no lines are written here for {step.call}")

    def tangent(self, step: Step, y: str) -> Lines:
        """Lines that compute y and along."""
        raise NoScript(f"no lines are written here for {step.call}")

    def masked(self, step: Step, y: str) -> Lines:
        """Lines of a pass with a mask, with or without gradients."""
        raise NoScript(f"no lines are written here for {step.call}")

    def between(self, step: Step) -> Lines:
        """Lines of what is done with the layer between its calls."""
        raise NoScript(f"no lines are written here for {step.call}")

    def modes(self) -> set[Mode | None]:
        """The modes of the passes that are performed: "training", "inference"."""
        return {s.call.mode for s in self.case.steps if not s.call.between}

    def kept_aside(self, step: Step, names: Sequence[str]) -> Lines:
        """Copies of a layer whose state is these variables, whose arrays never change; and another decay for its calls."""
        state = ", ".join(names)  # none: nothing reads it
        match step.call.kind:
            case "set_decay":
                return self.with_decay(step)
            case "clone":
                return [f"other = {state}"] if names else []
            case "swap":
                return [f"({state}), other = other, ({state})"] if names else []
        raise NoScript(f"no lines are written here for {step.call}")

    def with_decay(self, step: Step) -> Lines:
        """Another decay, where it is an argument of every call: no line of its own."""
        self.config = dataclasses.replace(self.config, decay=float(step.option("decay")))
        return []

    def reads_state(self) -> bool:
        """Whether a line needs the running statistics."""
        return "inference" in self.modes() or self.wanted.startswith(("running_", "state"))

    def state_list(self) -> Lines:
        """The running statistics, in one list."""
        return [f"state = [{self.array('running_mean')}, {self.array('running_var')}]"]

    @abc.abstractmethod
    def tensor(self, value: Literal) -> str:
        """An array as an expression that makes the framework's tensor."""

    @abc.abstractmethod
    def build(self) -> Lines:
        """Lines that build the layer from the case's parameters and state."""

    @abc.abstractmethod
    def restart(self) -> Lines:
        """Lines that put the state back to where the case starts from."""

    @abc.abstractmethod
    def call(self, step: Step, y: str) -> Lines:
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

    def wide(self, expression: str) -> str:
        """A result as a NumPy array of float64."""
        return f'np.asarray({expression}).astype("float64")'

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
    """The variable of an array: "x[2:3]" that is no part of x in memory is called part, "x|times:-4" x_times_minus_4."""
    if SEPARATOR in name:
        return re.sub(r"\W+", "_", name.replace("-", "minus_"))
    return "part" if "[" in name else name


def default_state(case: Case) -> bool:
    """Whether the state is what layers start from: 0 and 1, packed."""
    return _are(case, "running_mean", 0) and _are(case, "running_var", 1)


def default_parameters(case: Case) -> bool:
    """Whether gamma and beta are what layers start from: absent, or 1 and 0, packed."""
    return not case.config.affine or (_are(case, "gamma", 1) and _are(case, "beta", 0))


def _are(case: Case, name: str, value: int) -> bool:
    array = case.arrays[name]
    return bool(array.flags.c_contiguous and (array == value).all())
