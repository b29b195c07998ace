"""The environment of a kernel: this one, where it has what the form needs, or one that is built when it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from packaging.version import InvalidVersion, Version

from bnspec.backends.harness.environments.cache import obtain
from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.environments.homes import installed, packages_of
from bnspec.backends.harness.environments.spec import EnvironmentSpec
from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.kernels.harness.recognise import Recognised
from bnspec.backends.kernels.kernel import Kernel
from bnspec.errors import UsageError

#: What builds and calls solutions in C++; what interprets and compiles Triton.
TVM_FFI, TRITON = ("apache-tvm-ffi>=0.1", "ninja>=1.11"), "triton>=3.3"


def housed(recognised: Recognised, report: Callable[[str], None] = lambda doing: None) -> Recognised:
    """The kernel with its environment, which is built where it is not there.

    Raises UsageError: none of those that it can run in can be built.
    """
    able, reasons = needed(recognised.kernel), []
    for requirements in able:
        if all(installed(text) for text in requirements):
            return recognised
        spec = EnvironmentSpec(tuple(requirements))
        try:
            obtain(spec, report)
        except NotBuilt as error:
            reasons.append(error.reason)
            continue
        entry = dataclasses.replace(recognised.entry, environment=spec)
        return dataclasses.replace(recognised, entry=entry)
    if not able:
        return recognised
    raise UsageError(
        f"{recognised.entry.name} cannot be judged here: its environment cannot be built.",
        f"{reasons[0]}.",
        f"pip install {' '.join(repr(text) for text in able[-1])}, and judge it again.",
    )


def needed(kernel: Kernel) -> Sequence[Sequence[str]]:
    """The requirements of a form, those it prefers first; nothing for a form that runs in this environment."""
    if kernel.form == "onnx":
        folders = {f.name: f for f in backend_folders()}
        return [packages_of(folders[name]) for name in ("onnxruntime", "onnx")]
    if kernel.form == "tvm-ffi":
        return [TVM_FFI]
    if kernel.interpreted == "triton":
        return [(same_release("torch"), TRITON)]
    return ()


def same_release(package: str) -> str:
    """The release of a package that is here, so that what is built is like it; any where there is none."""
    try:
        return f"{package}=={Version(version(package)).public}"
    except (PackageNotFoundError, InvalidVersion):
        return package
