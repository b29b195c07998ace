"""Which form a kernel has: by its file's suffix, and by the names in a Python file, which is read and not executed.

file.py::run            a function over NumPy arrays, torch tensors or JAX arrays, by what the file imports
file.py::ModelNew       a class derived from torch.nn.Module
file.py                 the one function or class in it that can be meant
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from bnspec.backends.harness.registry import Entry
from bnspec.backends.kernels.c_signature import prototypes
from bnspec.backends.kernels.harness.forms import KNOWN, LIBRARIES, ONNX, PYTHON, SOLUTION, STABLEHLO
from bnspec.backends.kernels.harness.solution import solution
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.roles import role_of
from bnspec.backends.kernels.shared_object import header_of
from bnspec.backends.kernels.stablehlo import program_of
from bnspec.errors import UsageError
from bnspec.model.names import BACKEND, fits

#: The adapter of each form, by what its functions take.
ADAPTERS = {
    ("callable", "numpy"): "bnspec.backends.kernels.python_callable:NumpyCallable",
    ("callable", "torch"): "bnspec.backends.kernels.python_callable:TorchCallable",
    ("callable", "jax"): "bnspec.backends.kernels.python_callable:JaxCallable",
    ("shared object", "numpy"): "bnspec.backends.kernels.shared_object:SharedObject",
    ("onnx", "numpy"): "bnspec.backends.kernels.onnx_model:OnnxModel",
    ("stablehlo", "jax"): "bnspec.backends.kernels.stablehlo:StableHlo",
    ("operator", "torch"): "bnspec.backends.kernels.python_callable:TorchOperator",
    ("solution", "torch"): "bnspec.backends.kernels.solution:Solution",
    ("solution", "numpy"): "bnspec.backends.kernels.solution:Solution",
    ("tvm-ffi", "numpy"): "bnspec.backends.kernels.solution:TvmSolution",
    ("module", "torch"): "bnspec.backends.kernels.torch_module:TorchModule",
}
#: Names that are taken first where a file has several functions; names of classes likewise (KernelBench's).
FIRST = ("run", "forward", "batch_norm", "batchnorm", "kernel", "solution")
CLASSES = ("ModelNew", "Model")
#: Of a path that leads nowhere.
NOTHING = "there is nothing of this name"
#: Bytes of a kernel's file at most; of a model's.
FILE_BYTES, MODEL_BYTES = 4 << 20, 64 << 20


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A kernel with its target's entry and what there is to say of its form."""

    kernel: Kernel
    entry: Entry
    words: str

    def with_kernel(self, kernel: Kernel) -> Recognised:
        """The same with what was found when it was opened."""
        return dataclasses.replace(self, kernel=kernel, words=words_of(kernel))


def recognise(thing: str) -> Recognised:
    """The kernel that a word of the command line names. Raises UsageError: there is no such file, or nothing in it that is known."""
    path, _, name = thing.partition("::")
    file = Path(path)
    if not file.is_file():
        there = "it is a folder" if file.is_dir() else "it is no ordinary file" if file.exists() else NOTHING
        before, colon, after = path.rpartition(":")
        fix = "check the path, and where you are; an adapter is judged by bnspec verify --backend."
        raise UsageError(
            f"{path} is no file.",
            f"{there}; a kernel is named as FILE or FILE::NAME.",
            f"write two colons: {before}::{after}." if colon and Path(before).is_file() else fix,
        )
    if file.suffix in PYTHON:
        kernel = python_file(file, name)
    elif file.suffix in STABLEHLO:
        kernel = stablehlo(file)
    elif file.suffix in ONNX:
        kernel = onnx_model(file)
    elif file.suffix in SOLUTION:
        kernel = solution(readable(file), str(file), name)
    elif file.suffix in LIBRARIES:
        kernel = shared_object(file, name)
    else:
        raise UsageError(
            f"{path} is in no form that is known.",
            f"its name ends in {file.suffix or 'nothing'!s}; known are {KNOWN}.",
            "name a file of one of these forms; README.md, Judge a kernel, shows each. What cannot run here answers vectors: bnspec vectors judge.",
        )
    shown = f"{path}::{kernel.name}"
    if not fits(BACKEND, shown):
        raise UsageError(
            f"{shown!r} cannot be a name in a run.",
            "it is too long, or holds characters that cannot be seen.",
            "rename the file.",
        )
    adapter = ADAPTERS[kernel.form, kernel.arrays]
    return Recognised(kernel, Entry(shown, adapter), words_of(kernel))


def words_of(kernel: Kernel) -> str:
    """The form in a few words."""
    of = {"numpy": "NumPy arrays", "torch": "torch tensors", "jax": "JAX arrays"}[kernel.arrays]
    words = {
        "callable": f"a function of {of}",
        "module": "a torch.nn.Module",
        "stablehlo": "StableHLO compiled by XLA",
        "onnx": "an ONNX model",
        "operator": "an operator of torch.library",
        "solution": "a solution of FlashInfer-Bench",
        "tvm-ffi": "a solution of FlashInfer-Bench in C++, built by tvm-ffi",
        "shared object": "a function of a shared object",
    }[kernel.form]
    if kernel.run_by:
        words += f", run by {kernel.run_by}"
    return f"{words}, interpreted by {kernel.interpreted}" if kernel.interpreted else words


def python_file(file: Path, name: str) -> Kernel:
    """The function or class of a Python file that is meant."""
    tree = parsed(file)
    imported = set(imports_of(tree))
    arrays = "torch" if imported & {"torch", "triton"} else "jax" if "jax" in imported else "numpy"
    interpreted = "triton" if "triton" in imported else "pallas" if "pallas" in imported else ""
    top = list(top_level(tree.body))
    on_device = "triton" in imported
    functions = {n.name: n for n in top if isinstance(n, ast.FunctionDef) and not (on_device and is_device_code(n))}
    classes = modules_of(top)
    bound = set(bound_by(top))
    operators = list(operators_of(tree))
    if "::" in name or (not name and not classes and len(operators) == 1):
        return Kernel("operator", str(file), name or operators[0], "torch", "", interpreted)
    if name in classes or (not name and classes):
        chosen = name or next((c for c in CLASSES if c in classes), classes[-1])
        return Kernel("module", str(file), chosen, "torch", "", interpreted)
    if name and name not in functions and name not in bound:
        there = [*functions, *classes]
        raise UsageError(
            f"{file} defines no {name}.",
            f"at its top level are {', '.join(there) or 'no functions and no modules of torch'}.",
            "name one of these, as FILE::NAME." if there else "define it there, or name another file.",
        )
    usual = next((n for n in FIRST if n in bound and n not in functions), "")
    forward = name or usual or chosen_function(file, functions)
    return Kernel("callable", str(file), forward, arrays, backward_of(forward, functions), interpreted)


def onnx_model(file: Path) -> Kernel:
    """An ONNX model, which its worker reads: what it holds, this program has no package to tell."""
    refuse_size(file, MODEL_BYTES)
    return Kernel("onnx", str(file), "main", momentum_weighs="old")


def stablehlo(file: Path) -> Kernel:
    """The main function of a StableHLO module: the one shape of x that it takes, and its epsilon."""
    program = program_of(readable(file), str(file))
    x = next(a for a in program.arguments if a.role == "x")
    return Kernel("stablehlo", str(file), "main", "jax", shape=x.shape, dtype=x.dtype, epsilon=program.epsilon)


def shared_object(file: Path, name: str) -> Kernel:
    """The function of a shared object that is meant, by the header beside it."""
    header = Path(header_of(str(file)))
    declared = prototypes(content(header, FILE_BYTES).decode("utf-8", "replace"), str(header))
    if name and name not in declared:
        raise UsageError(
            f"{header} declares no {name}.", f"it declares {', '.join(declared)}.", "name one of these, as FILE::NAME."
        )
    able = [n for n, p in declared.items() if any(role_of(a.name) == "x" for a in p.arguments)]
    forward = name or chosen(file, [n for n in able if not is_backward(n)])
    return Kernel("shared object", str(file), forward, backward=backward_of(forward, declared))


def chosen_function(file: Path, functions: dict[str, ast.FunctionDef]) -> str:
    """The function of a Python file that is meant where none is named."""
    return chosen(
        file, [n for n, f in functions.items() if not n.startswith("_") and takes_x(f) and not is_backward(n)]
    )


def chosen(file: Path, able: Sequence[str]) -> str:
    """The function that is meant where none is named: it takes x, and is the only one or has a usual name."""
    found = next((n for n in FIRST if n in able), able[0] if len(able) == 1 else "")
    if not found:
        raise UsageError(
            f"{file} does not say which function is meant.",
            f"of its functions {', '.join(able) or 'none'} {'take' if able else 'takes'} an x.",
            f"name it: {file}::NAME; an adapter is named {file}:CLASS.",
        )
    return found


def backward_of(forward: str, functions: Container[str]) -> str:
    """The backward pass that belongs to a function; "" where there is none."""
    named = [
        f"{forward}_backward",
        f"backward_{forward}",
        forward.replace("forward", "backward"),
        "backward",
        "run_backward",
    ]
    return next((n for n in named if n in functions and n != forward), "")


def is_backward(name: str) -> bool:
    """Whether a function is a backward pass, by its name."""
    return "backward" in name or name.endswith("_bwd")


def takes_x(function: ast.FunctionDef) -> bool:
    """Whether one of the parameters is x."""
    arguments = function.args
    return any(role_of(a.arg) == "x" for a in (*arguments.args, *arguments.kwonlyargs))


def operators_of(tree: ast.Module) -> Iterator[str]:
    """The names of operators that functions are registered as: @torch.library.custom_op("library::operator", ...)."""
    for node in tree.body:
        for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            called = (
                isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("custom_op") and decorator.args
            )
            if called and isinstance(decorator, ast.Call) and isinstance(decorator.args[0], ast.Constant):
                yield str(decorator.args[0].value)


def top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under an if, a try or a with among them."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "handlers", "finalbody"):
                for inner in getattr(node, part, ()):
                    yield from top_level(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def bound_by(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """The names of what is assigned or imported: perhaps a function, which is known once the file is loaded."""
    for node in statements:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (t.id for t in targets if isinstance(t, ast.Name))


def modules_of(statements: Sequence[ast.stmt]) -> list[str]:
    """The classes that derive from something called Module or BatchNorm2d, or from one of these classes."""
    found: list[str] = []
    for node in statements:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            if any(base.endswith("Module") or "BatchNorm" in base or base in found for base in bases):
                found.append(node.name)
    return found


def is_device_code(node: ast.FunctionDef) -> bool:
    """Whether a function of a file with Triton is compiled for a device, such as by triton.jit: a launcher calls it."""
    decorators = (ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)
    return any(
        d.rpartition(".")[2] in ("jit", "autotune", "heuristics")
        and d.partition(".")[0] not in ("jax", "numba", "nb", "torch")
        for d in decorators
    )


def imports_of(tree: ast.Module) -> Iterator[str]:
    """The words of all imported names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (word for alias in node.names for word in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (alias.name for alias in node.names)


def refuse_size(file: Path, limit: int) -> None:
    """Raise UsageError for a file that is empty, or longer than a kernel is."""
    size = file.stat().st_size
    if not size:
        raise UsageError(f"{file} is empty.", "there is nothing in it.", "write it again, or name another file.")
    if size > limit:
        raise UsageError(
            f"{file} is longer than {limit >> 20} MiB.",
            "a kernel is not.",
            "name a file of the layer alone.",
        )


def content(file: Path, limit: int) -> bytes:
    """The bytes of a file. Raises UsageError: it is empty, too long, or may not be read."""
    try:
        refuse_size(file, limit)
        return file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read.", f"{error.strerror or type(error).__name__}.", "check its permissions."
        ) from None


def readable(file: Path) -> str:
    """The text of a file. Raises UsageError: it is empty, too long, may not be read, or is no text."""
    try:
        return content(file, FILE_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text.", "it is not UTF-8.", "name another file.") from None


def parsed(file: Path) -> ast.Module:
    """The syntax of a Python file. Raises UsageError: it is no Python, in the encoding that it names."""
    text = content(file, FILE_BYTES)
    try:
        return ast.parse(text, str(file))
    except (SyntaxError, ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        where = f" in line {line}" if line else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(
            f"{file} is not Python.", f"{type(error).__name__}{where}: {said.rstrip('.')}.", "correct it."
        ) from None
