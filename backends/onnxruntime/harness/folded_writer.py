"""Scripts of a convolution and the node after it in ONNX Runtime: as it folds them, or as a tool has folded them before."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.constants_writer import ConstantsWriter


class FoldedSessionWriter(ConstantsWriter):
    """The model as a session. Subclasses of a tool define ``packages``, ``imports`` and ``tool``."""

    packages: tuple[str, ...] = ("onnxruntime", "onnx")
    imports: tuple[str, ...] = ("import onnx.parser", "import onnxruntime")
    before = "Conv"
    #: The expression of the model that the tool makes of ``model``; "": ONNX Runtime folds it itself.
    tool = ""

    def models(self) -> Lines:
        """The model, folded, in a session."""
        folded = [f"model = {self.tool}"] if self.tool else []
        session = 'onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])'
        model = f"model = onnx.parser.parse_model({string(self.model('inference'))})"
        return [model, *folded, f"inference = {session}.run"]

    def inferred(self, x: str) -> str:
        """The session's y."""
        return f'inference(None, {{"x": {x}}})[0]'

    def use_threads(self, count: int) -> Lines:
        """Raises NoScript."""
        raise NoScript("sessions with a number of threads of their own are not written here")


class FoldedTransposedSessionWriter(FoldedSessionWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"
