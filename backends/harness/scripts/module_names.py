"""Scripts of classes that have PyTorch's names: ``weight``, ``bias``, ``running_mean``, ``running_var``, ``momentum``, and ``item()``."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step


class ModuleNamesWriter(Writer):
    """One module, named ``layer``; its momentum weighs the new value."""

    def between(self, step: Step) -> Lines:
        """Another momentum. Raises NoScript: what is not written."""
        if step.call.kind != "set_decay":
            raise NoScript(f"no lines are written here for {step.call}")
        return [f"layer.momentum = {1.0 - float(step.option('decay'))!r}", *self.with_decay(step)]

    def element(self, expression: str, index: str) -> str:
        """One element as a Python number."""
        return f"{expression}[{index}].item()"

    def variable(self, name: str) -> str:
        """The module's arrays."""
        own = {"gamma": "layer.weight", "beta": "layer.bias"}
        return own.get(name, f"layer.{name}" if name.startswith("running_") else name)
