"""Triton's kernels compiled for devices that are not here: which approximate instructions they have, and whether products and sums are fused.

The launcher is called once with tensors of the CPU; where it would launch a kernel, that is compiled for each device, with the types and
constants of this call. Nothing of it runs, and what the launcher returns says nothing.

Runs in workers: Python 3.8, standard library, NumPy, torch and triton.

Source: https://docs.nvidia.com/cuda/parallel-thread-execution, Floating Point Instructions; https://llvm.org/docs/AMDGPUUsage.html
"""

from __future__ import annotations

import collections
import re
from typing import Any, Callable, Dict, List, Mapping, Set, Tuple

from bnspec.backends.kernels.kernel import named_kernel
from bnspec.backends.kernels.offers import RANKS, Form, called
from bnspec.backends.kernels.python_function import PythonFunction, TorchArrays
from bnspec.backends.kernels.solution import module_of
from bnspec.backends.worker.__main__ import load_file
from bnspec.backends.worker.exceptions import described
from bnspec.contract import Adapter, Conventions, Declined, LayerConfig

#: The devices: Triton's word for the backend, the architecture, the threads of a warp, and the text that is read.
TARGETS = {"sm_90": ("cuda", 90, 32, "ptx"), "gfx942": ("hip", "gfx942", 64, "amdgcn")}
#: Instructions whose result is not the nearest number, by the text.
APPROXIMATE = {
    "ptx": re.compile(r"\b(?:(?:sqrt|rsqrt|rcp|div|ex2|lg2|sin|cos|tanh)\.approx|div\.full)[.\w]*"),
    "amdgcn": re.compile(r"\bv_(?:rsq|rcp|sqrt|exp|log|sin|cos)(?:_iflag)?_f(?:16|32|64)"),
}
FUSED = {"ptx": re.compile(r"\bfma\.[.\w]*"), "amdgcn": re.compile(r"\bv_(?:pk_)?(?:fma|fmac|mad|mac)_\w*f\d+")}
#: What makes the result of an approximate instruction before it exact: Newton's steps of a division.
CORRECTED = {"ptx": re.compile(r"\b(?:div|sqrt|rcp)\.r[nzmp][.\w]*"), "amdgcn": re.compile(r"\bv_div_fixup_f\d+")}
#: Numbers below the normal ones are 0 to these instructions, or where the kernel says so.
FLUSHED = {
    "ptx": re.compile(r"\b[a-z]\w*(?:\.\w+)*\.ftz[.\w]*"),
    "amdgcn": re.compile(r"\.amdhsa_float_denorm_mode_32 [012]\b"),
}
#: Triton's words for dtypes.
TYPES = {"float32": "fp32", "float64": "fp64", "float16": "fp16", "bfloat16": "bf16", "int32": "i32", "int64": "i64", "bool": "i1", "int8": "i8", "uint8": "u8"}  # fmt: skip
#: Kernels that are listed at most.
KERNELS = 16


class TritonListing(Adapter):
    """The kernel that ``BNSPEC_KERNEL`` names, compiled and not run; it declines all layers."""

    framework = "triton"
    conventions = Conventions(gradient_modes=())

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        kernel = named_kernel()
        module, name = module_of(kernel) if kernel.form == "solution" else (load_file(kernel.path), kernel.name)
        self.listed: List[Dict[str, Any]] = []
        self.failed = ""
        arrays, launched = TorchArrays(), Launches(self.listed)
        names = [(n, backward) for n, backward in ((name, False), (kernel.backward, True)) if n]
        with launched:
            for each, backward in names:
                self.compile(PythonFunction(getattr(module, each), each, arrays, backward), launched)

    def compile(self, function: PythonFunction, launched: Launches) -> None:
        """Call the launcher with the first form that launches something."""
        before = len(self.listed)
        for rank in RANKS:
            form = Form.of(rank, 1, "float32", "float32")
            try:
                called(function, form, function.modes[0])
            except Exception as error:  # noqa: BLE001  # a launcher may refuse a form, or reads what was not computed
                self.failed = described(error)
            if len(self.listed) > before:
                return

    def found(self) -> Mapping[str, Any]:
        """The listing."""
        failed = "" if self.listed else self.failed or "the launcher launches no kernel of triton.jit"
        return {"compiled": self.listed, "failed": failed}

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Raises Declined."""
        raise Declined("this kernel is compiled, and not run")


class Launches:
    """While it is entered, a launch compiles its kernel for each device, and no more; ``listed`` grows."""

    def __init__(self, listed: List[Dict[str, Any]]) -> None:
        self.listed = listed
        self.seen: Set[str] = set()
        self.former: List[Tuple[Any, str, Any]] = []

    def __enter__(self) -> Launches:
        from triton.runtime.autotuner import Autotuner
        from triton.runtime.jit import JITFunction

        def launch(function: Any, *given: Any, **named: Any) -> None:
            self.compiled(function, given, named)

        def first_configuration(tuner: Any, *given: Any, **named: Any) -> Any:
            return tuner.fn.run(*given, **{**named, **tuner.configs[0].all_kwargs()})

        self.patched(JITFunction, "run", launch)
        self.patched(Autotuner, "run", first_configuration)
        return self

    def __exit__(self, *_: Any) -> None:
        for owner, name, value in self.former:
            setattr(owner, name, value)

    def patched(self, owner: Any, name: str, value: Callable[..., Any]) -> None:
        """Put a method in the place of another until the end."""
        self.former.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def compiled(self, function: Any, given: Tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """List a kernel with the arguments of one launch; once."""
        if function.__name__ in self.seen or len(self.seen) >= KERNELS:
            return
        self.seen.add(function.__name__)
        bound = bound_arguments(function, given, named)
        for target in TARGETS:
            self.listed.append({"kernel": function.__name__, "target": target, **self.one(function, bound, target)})

    def one(self, function: Any, bound: Mapping[str, Any], target: str) -> Dict[str, Any]:
        """What is in the text of a kernel for a device; or why it does not compile."""
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        backend, architecture, warp, text = TARGETS[target]
        constants = {p.name for p in function.params if p.is_constexpr}
        types = {n: "constexpr" if n in constants or v is None else type_of(v) for n, v in bound.items()}
        values = {n: v for n, v in bound.items() if types[n] == "constexpr"}
        try:
            source = ASTSource(fn=function, signature=types, constexprs=values)
            made = triton.compile(source, target=GPUTarget(backend, architecture, warp))
        except Exception as error:  # noqa: BLE001  # of the language, of LLVM and of the assembler
            return {"failed": " ".join(described(error).split())[:300]}
        code = made.asm[text]
        return {
            "approximate": counted(APPROXIMATE[text], code),
            "corrected": counted(CORRECTED[text], code),
            "fused": counted(FUSED[text], code),
            "fusion_allowed": getattr(made.metadata, "enable_fp_fusion", None),
            "flushes_to_zero": bool(FLUSHED[text].search(code)),
        }


def bound_arguments(function: Any, given: Tuple[Any, ...], named: Mapping[str, Any]) -> Dict[str, Any]:
    """The arguments of a launch by name, with the defaults of the kernel."""
    bound = {p.name: p.default for p in function.params if p.has_default}
    bound.update(zip([p.name for p in function.params], given))
    bound.update({n: v for n, v in named.items() if n in {p.name for p in function.params}})
    return {p.name: bound[p.name] for p in function.params}


def type_of(value: Any) -> str:
    """Triton's word for the type of an argument."""
    if hasattr(value, "data_ptr"):
        return "*" + TYPES[str(value.dtype).rpartition(".")[2]]
    if isinstance(value, bool):
        return "i1"
    if isinstance(value, int):
        return "i32" if -(2**31) <= value < 2**31 else "i64"
    return "fp32"


def counted(pattern: Any, code: str) -> Dict[str, int]:
    """How often each instruction stands in a text; comments are none."""
    lines = (line.partition("//")[0].partition(";")[0] if ".amdgcn" in code else line for line in code.splitlines())
    return dict(sorted(collections.Counter(word for line in lines for word in pattern.findall(line)).items()))
