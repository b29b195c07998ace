"""``torch.folded.ao*``: a BatchNorm2d in eval(), which torchao's prepare_pt2e folds into the convolution before it.

    torch.folded.ao          one convolution, one module
    torch.folded.ao.shared   the convolution is called twice, and another module follows its first call

The exported program is prepared with a quantizer that annotates nothing, so all that is done to it is the folding. The
convolution computes the case's x exactly; see ``worker.folding``.

Source: https://docs.pytorch.org/ao/stable/pt2e_quantization/index.html
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Dict

from bnspec.backends.torch.folding import FoldingAdapter, two_heads


class TorchaoFolded(FoldingAdapter):
    """A convolution, in pairs of channels where their number is even."""

    framework = "torchao"
    conventions = dataclasses.replace(FoldingAdapter.conventions, ranks=(4,))

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.prepare = importlib.import_module("torchao.quantization.pt2e.quantize_pt2e").prepare_pt2e
        quantizer = importlib.import_module("torchao.quantization.pt2e.quantizer").Quantizer
        methods = {"annotate": lambda self, model: model, "validate": lambda self, model: None}
        self.quantizer = type("NothingQuantized", (quantizer,), methods)()

    def versions(self) -> Dict[str, str]:
        """Versions of torchao and of PyTorch."""
        return {**super().versions(), "torchao": str(importlib.import_module("torchao").__version__)}

    def model(self, before: Any, module: Any) -> Any:
        """The two in one model."""
        return self.torch.nn.Sequential(before, module)

    def folded(self, before: Any, module: Any) -> Any:
        """A function of the convolution's input: y of the exported program, prepared. The last result is the module's."""

        def call(given: Any) -> Any:
            program = self.torch.export.export(self.model(before, module).eval(), (given,))
            found = self.prepare(program.module(), self.quantizer)(given)
            return found[-1] if isinstance(found, (tuple, list)) else found

        return call


class TorchaoFoldedShared(TorchaoFolded):
    """Heads that share a convolution, each with a module of its own."""

    def model(self, before: Any, module: Any) -> Any:
        """Of the same input both calls of the convolution; the result is the second module's."""
        return two_heads(self.torch, before, module)
