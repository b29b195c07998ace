"""A solution.json of FlashInfer-Bench: its sources are unpacked into a folder, imported or built there, and its entry point is called.

In the passing style of destinations, which is the usual one, the function writes into its last arguments; otherwise it returns results. Python
and Triton are imported as a package of their own, so that sources import each other by ``from .other import name``. C++ is built by tvm-ffi;
its arguments are known by their names in the definition of the exported function.

Runs in workers: Python 3.8, standard library, NumPy, and what the solution is written for.

Source: https://bench.flashinfer.ai/docs/flashinfer-trace/solution
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
import tempfile
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.offers import Offers, offers_of
from bnspec.backends.kernels.procedure import Procedure
from bnspec.backends.kernels.python_function import ARRAYS_OF, Arrays, PythonFunction, function_of
from bnspec.backends.worker.exceptions import described
from bnspec.contract import Declined
from bnspec.errors import UsageError

#: TVM_FFI_DLL_EXPORT_TYPED_FUNC(name, function): the name and the function that it stands for.
EXPORTED = re.compile(r"TVM_FFI_DLL_EXPORT_TYPED_FUNC\s*\(\s*(\w+)\s*,\s*([\w:]+)\s*\)")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
CPP = (".cpp", ".cc", ".cxx", ".c")
#: More than every other extent of an x that is tried.
MANY_CHANNELS = 7


class Solution(FunctionAdapter):
    """A solution in Python or Triton."""

    framework = "torch"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The function of the entry point."""
        module, name = module_of(kernel)
        function = function_of(module, name)
        watched = kernel.watched and kernel.arrays == "torch"
        found = PythonFunction(function, kernel.name, ARRAYS_OF[kernel.arrays](), watched=watched)
        refuse_style(found, document_of(kernel))
        return found, None


class TvmSolution(FunctionAdapter):
    """A solution in C++, built by tvm-ffi."""

    framework = "tvm_ffi"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The exported function of the entry point; its memory is watched."""
        import tvm_ffi

        path, _, name = kernel.name.partition("::")
        folder, document = unpacked(kernel), document_of(kernel)
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            text = COMMENT.sub(" ", file.read())
        names = argument_names(text, name)
        module = tvm_ffi.load_module(built(folder, [s["path"] for s in document["sources"]]))
        try:
            function = getattr(module, name)
        except AttributeError:
            raise UsageError(
                "the solution exports no %s." % name,
                "its entry point names it.",
                "export it by its entry point's name.",
            ) from None
        listed = tuple((n, True) for n in names)
        called = by_position(function, names)
        found = PythonFunction(called, kernel.name, TvmArrays(element(text)), False, listed, kernel.watched)
        refuse_style(found, document)
        return found, None

    def offers(self) -> Offers:
        """Found by calls with more channels than other extents: a function that takes another axis for the channels reads no further."""
        return offers_of(self.forward_pass, MANY_CHANNELS)


class TvmArrays(Arrays):
    """Tensors of tvm-ffi over the same memory, which is packed; of one dtype, since a function that takes any pointer for one reads on."""

    framework = "tvm_ffi"
    packed = True

    def __init__(self, dtype: str) -> None:
        import tvm_ffi

        self.tvm_ffi, self.dtype = tvm_ffi, dtype

    def given(self, array: np.ndarray) -> Any:
        """A tensor over a packed array's memory. Raises Declined: it has another dtype."""
        if array.dtype.name != self.dtype:
            raise Declined("this solution is taken to be of %s, as its source is" % self.dtype)
        return self.tvm_ffi.from_dlpack(array)

    def taken(self, result: Any) -> np.ndarray:
        """The tensor's memory."""
        return np.from_dlpack(result)


def by_position(function: Any, names: Tuple[str, ...]) -> Callable[..., Any]:
    """The function, which takes its arguments by position, with their names."""

    def call(**given: Any) -> Any:
        return function(*(given[n] for n in names))

    return call


def module_of(kernel: Kernel) -> Tuple[Any, str]:
    """The module of a solution's entry point, imported in its package, and the name of the function."""
    folder = unpacked(kernel)
    path, _, name = kernel.name.partition("::")
    root, package = os.path.split(folder)
    sys.path.append(root)
    words = [p for p in os.path.splitext(path)[0].replace("\\", "/").split("/") if p not in ("", ".")]
    return importlib.import_module(".".join([package, *words])), name


def document_of(kernel: Kernel) -> Dict[str, Any]:
    """The file, which the harness has checked."""
    with open(kernel.path, encoding="utf-8") as file:
        found: Dict[str, Any] = json.load(file)
    return found


def unpacked(kernel: Kernel) -> str:
    """The folder of the sources; made where another worker has not made it. Its name is that of a package of their contents."""
    document = document_of(kernel)
    sources = [(s["path"], s["content"]) for s in document["sources"]]
    digest = hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]
    root = kernel.folder or tempfile.mkdtemp(prefix="bnspec-solution-")
    folder = os.path.join(root, "bnspec_solution_" + digest)
    if not os.path.isdir(folder):
        beside = tempfile.mkdtemp(dir=root)
        for path, content in sources:
            place = os.path.join(beside, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "x", encoding="utf-8") as file:
                file.write(content)
        try:
            os.rename(beside, folder)
        except OSError:
            if not os.path.isdir(folder):
                raise
    return folder


def built(folder: str, paths: List[str]) -> str:
    """The shared object of the sources; built where another worker has not built it. Raises UsageError: they do not compile."""
    kept = folder + ".so"
    if os.path.isfile(kept):
        return kept
    from tvm_ffi import cpp

    # the build tool of this environment is beside its Python
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    files = [os.path.join(folder, p) for p in paths if p.endswith(CPP)]
    beside = tempfile.mkdtemp(dir=os.path.dirname(folder))
    try:
        made = cpp.build(
            name=os.path.basename(folder), cpp_files=files, extra_include_paths=[folder], build_directory=beside
        )
    except Exception as error:  # noqa: BLE001  # of the build tool, the compiler and what looks for them
        lines = [line for line in str(error).splitlines() if "error" in line.lower()] or [described(error)]
        raise UsageError(
            "the solution does not compile.",
            "%s." % " ".join(lines[0].split())[:300],
            "build it once with tvm_ffi.cpp.build.",
        ) from None
    os.replace(str(made), kept)
    return kept


def argument_names(text: str, exported: str) -> Tuple[str, ...]:
    """The names of the arguments of an exported function. Raises UsageError: it is not exported, or not defined in this file."""
    functions = {name: function.rpartition(":")[2] for name, function in EXPORTED.findall(text)}
    if exported not in functions:
        raise UsageError(
            "the entry point's file exports no %s." % exported,
            "it exports %s." % (", ".join(functions) or "nothing"),
            "write TVM_FFI_DLL_EXPORT_TYPED_FUNC(%s, function)." % exported,
        )
    defined = re.search(r"\b%s\s*\(([^(){}]*)\)\s*\{" % re.escape(functions[exported]), text)
    if defined is None:
        raise UsageError(
            "the entry point's file does not define %s." % functions[exported],
            "what it takes is known by the names in its definition.",
            "define it in this file.",
        )
    inside = re.sub(r"<[^<>]*>", "", defined[1])
    return tuple(re.findall(r"\w+", part)[-1] for part in inside.split(",") if part.strip())


def element(text: str) -> str:
    """The dtype of the arrays: the file of a solution does not say it, its source does. double, where no other pointer is cast to."""
    return "float64" if re.search(r"\bdouble\s*\*", text) and not re.search(r"\bfloat\s*\*", text) else "float32"


def refuse_style(function: PythonFunction, document: Dict[str, Any]) -> None:
    """Raise UsageError for a function whose arguments contradict its passing style."""
    by_destination = document["spec"].get("destination_passing_style", True)
    if by_destination and "y" not in function.writes:
        raise UsageError(
            "%s takes no output, and its solution says that it writes into one." % function.owner,
            "spec.destination_passing_style is true, as it is where nothing is said.",
            "take the output as the last argument, or set destination_passing_style to false.",
        )
    if not by_destination and function.writes:
        raise UsageError(
            "%s takes %s, and its solution says that it returns its results." % (function.owner, function.writes[0]),
            "spec.destination_passing_style is false.",
            "return the results, or set destination_passing_style to true.",
        )
