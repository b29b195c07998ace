"""Scripts for an adapter of one's own: they import its file by its path, or its module where that is installed, and call its layer."""

from __future__ import annotations

import dataclasses
import keyword
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Case, Step, shares_state


@dataclasses.dataclass(frozen=True)
class OwnAdapter:
    """Where an adapter is.

    Attributes:
        module, name: of the class. file: its module's file; None where the module is installed and imported by its name.
    """

    module: str
    name: str
    file: Path | None = None


def found(spec: str) -> OwnAdapter:
    """The adapter that ``package.module:Class`` or ``path/file.py:Class`` names. Nothing is imported to find it.

    Raises NoScript: there is no such file, or no such module in the current folder or among the installed ones.
    """
    module, _, last = spec.rpartition(":")
    name = _word(last)
    if module.endswith(".py"):
        file = Path(os.path.realpath(module))
        if not file.is_file():
            raise NoScript(f"the adapter's file {module} is not there; repro looks for it from the current folder")
        return OwnAdapter(file.stem, name, file)
    words = [_word(part) for part in module.split(".")]
    here = Path.cwd()
    folders = [Path(p) for p in sys.path if p and os.path.realpath(p) != str(here)]
    if any(_file(folder, words) for folder in folders):
        return OwnAdapter(module, name)
    local = _file(here, words)
    if local is None:
        raise NoScript(f"the adapter's module {module} is neither in the current folder nor installed")
    return OwnAdapter(words[-1], name, local)


def _word(text: str) -> str:
    """A name as it may stand in a script. Raises NoScript."""
    if not (text.isascii() and text.isidentifier()) or keyword.iskeyword(text):
        raise NoScript(f"{text!r} is not the name of a module or a class")
    return text


def _file(folder: Path, words: Sequence[str]) -> Path | None:
    """The file of a module in a folder, if it is there."""
    place = folder.joinpath(*words)
    candidates = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((c for c in candidates if c.is_file()), None)


class OwnAdapterWriter(Writer):
    """The calls that the worker makes on the adapter, and on the layer that it builds."""

    makes_initial = True

    def __init__(self, adapter: OwnAdapter, case: Case, device: str, wanted: str, compact: bool = False) -> None:
        """Args: adapter: whose scripts these are. The others: see ``Writer``."""
        super().__init__(case, device, wanted, compact)
        self.adapter = adapter
        self.imports = ("from bnspec.contract import LayerConfig",)
        if adapter.file is None:
            self.imports += (f"from {adapter.module} import {adapter.name}",)
        else:
            self.extra.append("importlib.util")
        if shares_state(case):
            raise NoScript("its parameters share memory with the state, which these scripts do not write")

    def devices(self) -> Sequence[str]:
        """Whatever the adapter was opened on."""
        return (self.device.partition(":")[0],)

    def preamble(self) -> Lines:
        """The adapter, opened."""
        opened = f"{self.adapter.name}({string(self.device)})"
        if self.adapter.file is None:
            return [f"adapter = {opened}"]
        place = f"{string(self.adapter.module)}, {string(str(self.adapter.file))}"
        return [
            f"spec = importlib.util.spec_from_file_location({place})",
            "module = importlib.util.module_from_spec(spec)",
            "spec.loader.exec_module(module)",
            f"adapter = module.{opened}",
        ]

    def tensor(self, value: Literal) -> str:
        """The adapter's tensor of a NumPy array."""
        dtype = string(value.dtype)
        if value.dtype == "bfloat16":
            self.extra.append("ml_dtypes")
            dtype = "ml_dtypes.bfloat16"
        return f"adapter.tensor({numpy_expression(value, dtype)})"

    def build(self) -> Lines:
        """The layer, or the scaler."""
        c = self.config
        numbers = f"{c.rank}, {c.channel_axis}, {c.channels}, {c.epsilon!r}, {c.decay!r}"
        config = f"LayerConfig({numbers}, {string(c.dtype)}, {string(c.parameter_dtype)}, {c.affine})"
        if self.case.subject == "input_norm":
            return [f"layer = adapter.scaler({config})"]
        parameters = [self.array(n) if c.affine else "None" for n in ("gamma", "beta")]
        if self.case.subject == "layer_norm":
            return [f"layer = adapter.layer_norm({', '.join([config, *parameters])})"]
        if self.initial:
            return [f"layer = adapter.new_layer({config})"]
        state = [self.array(n) for n in ("running_mean", "running_var")]
        return [f"layer = adapter.layer({', '.join([config, *parameters, *state])})"]

    def restart(self) -> Lines:
        """Another layer: an adapter has no other way back."""
        return self.build()

    def call(self, step: Step, y: str) -> Lines:
        """The method of the call's name."""
        given = ", ".join(self.given(n) for n in step.inputs)
        if step.call.kind == "fit":
            return [f"layer.fit([{given}])"]
        results = f"{y}, dx, dgamma, dbeta" if step.call.has_gradients else y
        return [f"{results} = layer.{step.call.name}({given})"]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """The method, with the names of what is wanted."""
        given = ", ".join([*(self.given(n) for n in step.inputs), f"({', '.join(map(string, wanted))},)"])
        return [f"{y}, dx, dgamma, dbeta = layer.{step.call.name}({given})"]

    def second_order(self, step: Step, y: str) -> Lines:
        """The three results of the method."""
        return [f"by_x, by_dy, by_gamma = layer.{step.call.name}({', '.join(self.given(n) for n in step.inputs)})"]

    def third_order(self, step: Step, y: str) -> Lines:
        """The result of the method."""
        return [f"third = layer.{step.call.name}({', '.join(self.given(n) for n in step.inputs)})"]

    def tangent_gradient(self, step: Step, y: str) -> Lines:
        """The result of the method."""
        return [f"by_x = layer.{step.call.name}({', '.join(self.given(n) for n in step.inputs)})"]

    def tangent(self, step: Step, y: str) -> Lines:
        """The two results of the method."""
        return [f"{y}, along = layer.{step.call.name}({', '.join(self.given(n) for n in step.inputs)})"]

    def masked(self, step: Step, y: str) -> Lines:
        """As any other call."""
        return self.call(step, y)

    def state_gradients(self, step: Step, y: str) -> Lines:
        """As any other call."""
        return self.call(step, y)

    def late_gradients(self, step: Step, y: str) -> Lines:
        """As any other call."""
        return self.call(step, y)

    def between(self, step: Step) -> Lines:
        """The layer's own methods."""
        match step.call.kind:
            case "save_restore":
                return ["layer = layer.restored()"]
            case "clone":
                return ["layer, other = layer.copied(), layer"]
            case "swap":
                return ["layer, other = other, layer"]
            case "reset":
                return ["layer.reset()"]
            case "set_decay":
                return [f"layer.set_decay({float(step.option('decay'))!r})", *self.with_decay(step)]
        self.frozen = step.call.kind == "freeze"
        return [f"layer.freeze({self.frozen})"]

    def use_threads(self, count: int) -> Lines:
        """The adapter's method."""
        return [f"adapter.use_threads({count})"]

    def variable(self, name: str) -> str:
        """The state and the fitted statistics are asked of the layer. Raises NoScript: a parameter, which it does not give."""
        if name in ("gamma", "beta"):
            raise NoScript(f"{name} is an argument that these scripts do not name")
        state = {"running_mean": "layer.state()[0]", "running_var": "layer.state()[1]"}
        return {**state, "mean": "layer.statistics()[0]", "var": "layer.statistics()[1]"}.get(name, name)

    def element(self, expression: str, index: str) -> str:
        """``float(adapter.array(y)[0, 0])``."""
        return f"float({self.host(expression)}[{index}])"

    def host(self, expression: str) -> str:
        """The adapter's array of a tensor."""
        return f"adapter.array({expression})"

    def wide(self, expression: str) -> str:
        """The same in float64."""
        return f'{self.host(expression)}.astype("float64")'

    def shape(self, expression: str) -> str:
        """The array's shape."""
        return f"{self.host(expression)}.shape"
