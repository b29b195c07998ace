"""The text of a StableHLO module, compiled by XLA: its main function takes x of one shape.

Arguments are known by their names (%x, %gamma, ...); those that are numbered (%arg0, ...) stand for x, gamma, beta, running mean and
running variance in this order. Epsilon is an argument, or the attribute of a batch-norm operation.

Runs in workers: Python 3.8, standard library, NumPy and jax.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Dict, Optional, Tuple

import numpy as np

from bnspec.backends.kernels.adapter import FunctionAdapter
from bnspec.backends.kernels.kernel import Kernel
from bnspec.backends.kernels.offers import Offers
from bnspec.backends.kernels.procedure import Procedure, Values
from bnspec.backends.kernels.results import meaning
from bnspec.backends.kernels.roles import role_of
from bnspec.contract import Conventions, Declined
from bnspec.errors import UsageError
from bnspec.model.buffers import dtype_of

MAIN = re.compile(r"func\.func\s+(?:public\s+)?@main\s*\((.*?)\)\s*->", re.DOTALL)
ARGUMENT = re.compile(r"%(\w+)\s*:\s*tensor<((?:\d+x)*)(f64|f32|f16|bf16)>")
EPSILON = re.compile(r"epsilon\s*=\s*([0-9.eE+-]+)")
DTYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16"}
ORDER = ("x", "gamma", "beta", "running_mean", "running_var")


@dataclasses.dataclass(frozen=True)
class HloArgument:
    """An argument of the main function."""

    role: str
    shape: Tuple[int, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class Program:
    """The main function: its arguments in order, and the epsilon that is written in it; None where it is an argument."""

    arguments: Tuple[HloArgument, ...]
    epsilon: Optional[float]


def program_of(text: str, where: str) -> Program:
    """What the text says of its main function. Raises UsageError: there is none, or an argument is not known."""
    main = MAIN.search(text)
    if main is None:
        raise UsageError(
            "%s has no function @main." % where, "it is what is called.", "write a StableHLO module as text."
        )
    found = []
    for i, (name, extents, dtype) in enumerate(ARGUMENT.findall(main[1])):
        role = ORDER[i] if name == "arg%d" % i and i < len(ORDER) else role_of(name)
        if not role:
            raise UsageError(
                "%s takes %%%s, and what that is cannot be told from its name." % (where, name),
                "arguments are %x, %gamma, %beta, %running_mean, %running_var and %eps.",
                "rename it.",
            )
        shape = tuple(int(n) for n in extents.split("x") if n)
        found.append(HloArgument(role, shape, DTYPES[dtype]))
    roles = [a.role for a in found]
    if "x" not in roles or len(set(roles)) < len(roles):
        raise UsageError(
            "%s takes %s." % (where, ", ".join(roles) or "nothing"),
            "one of them is x, and none comes twice.",
            "name each argument by what it is.",
        )
    written = EPSILON.search(text)
    if "epsilon" not in roles and written is None:
        raise UsageError(
            "%s does not say its epsilon." % where,
            "it is no argument and no attribute of an operation.",
            "take it as %eps: tensor<f32>.",
        )
    epsilon = None if "epsilon" in roles or written is None else float(np.float32(float(written[1])))
    return Program(tuple(found), epsilon)


class StableHlo(FunctionAdapter):
    """A StableHLO module on XLA's CPU."""

    framework = "jax"

    def procedures(self, kernel: Kernel) -> Tuple[Procedure, Optional[Procedure]]:
        """The main function."""
        with open(kernel.path, encoding="utf-8") as file:
            text = file.read()
        return HloFunction(text, program_of(text, kernel.path)), None

    def offers(self) -> Offers:
        """Its one form, and the roles of its results by a call of it."""
        function: Any = self.forward_pass
        x, kernel = function.values(), self.kernel
        axis = channel_axis(function.program)
        others = tuple(a for a in range(len(kernel.shape)) if a != axis)
        if "running_mean" in function.takes:
            roles = {"0": "y"}
        else:
            roles = meaning(function(x), x["x"], others, x, 0.5)
        conventions = Conventions(
            empty_batch="unspecified",
            dtypes=(kernel.dtype,),  # type: ignore[arg-type]  # Conventions checks the words
            half_parameters=("input",),
            ranks=(len(kernel.shape),),
            channel_axes="first" if axis == 1 else "last",
            affine_optional=False,
            mutable_tensors=False,
        )
        return Offers(conventions, roles)


def channel_axis(program: Program) -> int:
    """The axis of x with gamma's extent: the second, if it may be."""
    x = next(a for a in program.arguments if a.role == "x")
    channels = next((a.shape[0] for a in program.arguments if a.role != "x" and len(a.shape) == 1), x.shape[1])
    return 1 if x.shape[1] == channels else len(x.shape) - 1


class HloFunction(Procedure):
    """The main function, compiled once."""

    def __init__(self, text: str, program: Program) -> None:
        import jax
        from jax.extend import backend
        from jaxlib import _jax, xla_client

        jax.config.update("jax_enable_x64", True)
        client: Any = backend.get_backend("cpu")
        devices = _jax.DeviceList(tuple(client.local_devices()[:1]))
        self.jnp, self.program, self.owner = jax.numpy, program, "@main"
        try:
            self.compiled = client.compile_and_load(text.encode(), devices, xla_client.CompileOptions())
        except Exception as error:  # noqa: BLE001  # whatever the compiler raises for the text
            words = " ".join(str(error).split())[:300]
            raise UsageError("XLA does not compile the module.", words, "correct its text.") from None
        self.takes = tuple(a.role for a in program.arguments)

    def __call__(self, values: Values) -> Dict[str, Any]:
        """The results by number. Raises Declined: x has another shape, or there is another epsilon."""
        if self.program.epsilon is not None and values["epsilon"] != self.program.epsilon:
            raise Declined("this module has the epsilon %g" % self.program.epsilon)
        arguments = []
        for argument in self.program.arguments:
            value = values[argument.role]
            given = np.array(value, dtype_of(argument.dtype)) if argument.shape == () else np.array(value)
            if given.shape != argument.shape or given.dtype.name != argument.dtype:
                raise Declined(
                    "this module takes %s of shape %s in %s" % (argument.role, argument.shape, argument.dtype)
                )
            arguments.append(self.jnp.asarray(given))
        results = self.compiled.execute_sharded(arguments).disassemble_into_single_device_arrays()
        return {str(i): np.array(shards[0]) for i, shards in enumerate(results)}

    def values(self) -> Dict[str, Any]:
        """Arguments that tell the results apart."""
        random, found = np.random.RandomState(3), {}
        for argument in self.program.arguments:
            found[argument.role] = (3.0 + random.standard_normal(argument.shape)).astype(dtype_of(argument.dtype))
        epsilon = self.program.epsilon
        return {**found, "epsilon": float(found["epsilon"]) if epsilon is None else epsilon}
