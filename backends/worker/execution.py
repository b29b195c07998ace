"""Runs a case on an adapter inside the worker, and observes purity and aliasing.

Purity is observed bitwise: which arguments and parameters a call modified, and, by the device's own addresses, which results
share memory with arguments or state.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import collections
from typing import Any, Deque, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from bnspec.backends.worker.clocks import perf_counter, process_time
from bnspec.backends.worker.devices import examine
from bnspec.backends.worker.exceptions import described
from bnspec.backends.worker.networks import LiveNetwork
from bnspec.contract import Adapter, Gradients, LayerConfig, Scaler, SecondOrder, Tangent
from bnspec.errors import Declined, UsageError
from bnspec.model.buffers import check_dtype, extent, intersect, unpack, unpack_fenced
from bnspec.model.call import Call, Kind
from bnspec.model.case import PARAMETERS, Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.model.red_zones import Fenced
from bnspec.model.vocabulary import Status

STATE = ("running_mean", "running_var")
#: Of so many calls on a layer, results are held and looked at again after each call: buffers are used in turn, mostly two.
HELD = 3
#: The reason for not making a malformed call.
UNCHECKED = "this backend leaves checking arguments to its caller"
#: The reason for not handing over x of an integer dtype.
NO_INTEGERS = "this backend is not given integers"
#: The reason for not handing over a training set with missing values.
NO_MISSING = "this backend does not leave out missing values"
#: The result types of these kinds of calls; all others return one tensor.
RESULTS: Dict[Kind, Type[Any]] = {
    "gradients": Gradients,
    "some_gradients": Gradients,
    "late_gradients": Gradients,
    "state_gradients": Gradients,
    "masked_gradients": Gradients,
    "second_order": SecondOrder,
    "tangent": Tangent,
}
#: The names of single tensors that are not y.
NAMED: Dict[Kind, str] = {"inverse": "x", "third_order": "third", "tangent_gradient": "by_x"}


def run_case(adapter: Adapter, header: Mapping[str, Any], buffers: List[bytes]) -> Observation:
    """Run every step of the case and record each result; never raises because of the backend."""
    try:
        case = Case.from_header(header, buffers)
    except Declined as reason:  # a dtype that this environment lacks
        return Observation("declined", "", (StepResult("declined", reason.what),) * len(header["steps"]))
    return observe(adapter, case, header["arrays"], buffers)


def observe(adapter: Adapter, case: Case, specs: Mapping[str, Any], buffers: List[bytes]) -> Observation:
    """``run_case`` of a header that was read already: each layer gets new memory, made from the header's arrays and buffers."""
    started, cpu = perf_counter(), process_time()
    results: List[StepResult] = []
    live: Any = None
    failure = StepResult("not_run", "no layer")
    for i, step in enumerate(case.steps):
        if live is None or step.fresh:
            live, failure = _build(adapter, case, specs, buffers, case.built_at(i))
        results.append(failure if live is None else live.perform(step, i))
    if any(step.option("threads") for step in case.steps):
        _restore_threads(adapter)
    spent = perf_counter() - started, process_time() - cpu
    return Observation(_overall(results), "", tuple(results), *spent)


def _restore_threads(adapter: Adapter) -> None:
    """Restore the number of threads from before the case."""
    try:
        adapter.use_threads(0)
    except Declined:  # then they were never changed
        return


class Result(NamedTuple):
    """A result that the caller still holds: of which step, its name, the tensor, and its bits when they were read last."""

    step: int
    name: str
    tensor: Any
    bits: bytes


class Tensors(Dict[str, Any]):
    """The case's arrays as tensors, each created on first use."""

    def __init__(self, adapter: Adapter, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self._adapter, self._arrays = adapter, arrays

    def __missing__(self, name: str) -> Any:
        self[name] = self._adapter.tensor(self._arrays[name])
        return self[name]


class Live:
    """A built layer with its tensors; ``run_case`` performs steps on it.

    Args:
        case: the case with this layer's overrides.
        parameters: for each parameter, the name of its array.
        initial: whether to use the framework's own parameters and state instead.
        fences: the memory of the arrays, between red zones.
    """

    def __init__(
        self,
        adapter: Adapter,
        case: Case,
        arrays: Dict[str, np.ndarray],
        parameters: Optional[Mapping[str, str]] = None,
        initial: bool = False,
        fences: Sequence[Fenced] = (),
    ) -> None:
        self.adapter, self.fences = adapter, fences
        self.tensors = Tensors(adapter, arrays)
        self.scaling = case.subject == "input_norm"
        self.stateless = self.scaling or case.subject == "layer_norm"
        self.fitted = False
        self.other: Any = None
        #: The results of the last calls, with their bits: later calls must not change them.
        self.earlier: Deque[List[Result]] = collections.deque(maxlen=HELD)
        self.parameters = dict(parameters or {n: n for n in PARAMETERS if n in arrays})
        if self.scaling:
            self.subject: Any = adapter.scaler(case.config)
        elif case.subject == "layer_norm":
            self.subject = adapter.layer_norm(case.config, self.tensors["gamma"], self.tensors["beta"])
        elif initial:
            self.subject = adapter.new_layer(case.config)
            self.parameters = {}
        else:
            given = (self.parameters.get(name) for name in PARAMETERS)
            self.subject = adapter.layer(case.config, *(None if n is None else self.tensors[n] for n in given))
        # memory shared with the state may change with it, so purity does not cover it
        states = [self.parameters[n] for n in STATE if n in self.parameters]
        places = {n: extent(a) for n, a in arrays.items()}
        self.pure = [
            n for n, p in places.items() if n not in states and not any(intersect(p, places[s]) for s in states)
        ]

    def perform(self, step: Step, number: int) -> StepResult:
        """Perform and observe one call, step ``number`` of the case; anything that the backend raises becomes the observation."""
        before: Dict[str, np.ndarray] = {}
        if step.refused and not self.scaling and not self.adapter.conventions.checks_arguments:
            return StepResult("declined", UNCHECKED)
        if step.takes_integers and not self.adapter.conventions.integers:
            return StepResult("declined", NO_INTEGERS)
        if step.has_missing and not self.adapter.conventions.input_missing:
            return StepResult("declined", NO_MISSING)
        try:
            before = self.state_before(step)
            if step.call.between:
                self.between(step)
                return StepResult("ok", "", {}, before, self.state())
            used = {*step.inputs, *self.parameters.values()}
            watched = {n: self.tensors[n] for n in self.pure if n in used}
            snapshots = {n: self.bits(t) for n, t in watched.items()}
            results = self.call(step)
            outputs = {n: self.numpy(n, t) for n, t in results.items()}
            written = tuple(n for n, bits in snapshots.items() if self.bits(self.tensors[n]) != bits)
            overwritten = self.overwritten()
            aliases, addressed = self.aliases(results, watched)
            outputs = {n: np.array(a, order="C", copy=True) for n, a in outputs.items()}
            self.earlier.append([Result(number, n, t, self.bits(t)) for n, t in results.items()])
            after = {} if self.stateless else self.state()
            overruns = self.overruns()
        except Declined as reason:
            return StepResult("declined", reason.what, before=before)
        except Exception as error:
            examine(self.adapter, error)
            return StepResult("error", described(error), before=before, after=self.left(step), overruns=self.overruns())
        return StepResult("ok", "", outputs, before, after, written, overwritten, aliases, overruns, addressed)

    def overwritten(self) -> Tuple[Tuple[int, str], ...]:
        """Step and name of each result of the last calls whose bits have changed; it is said once, of the call that did it."""
        found = []
        for results in self.earlier:
            for k, result in enumerate(results):
                bits = self.bits(result.tensor)
                if bits != result.bits:
                    found.append((result.step, result.name))
                    results[k] = result._replace(bits=bits)
        return tuple(found)

    def overruns(self) -> Tuple[str, ...]:
        """What the call read or wrote outside of its arrays."""
        return (*(words for fence in self.fences for words in fence.touched()), *self.adapter.overruns())

    def left(self, step: Step) -> Dict[str, np.ndarray]:
        """The state after a rejected call, if it can still be read."""
        try:
            return {} if self.stateless else self.state()
        except Exception:  # the layer is broken: there is no state to compare
            return {}

    def between(self, step: Step) -> None:
        """Perform an operation between calls."""
        if step.call.kind == "save_restore":
            self.subject = self.subject.restored()
        elif step.call.kind == "clone":
            self.subject, self.other = self.subject.copied(), self.subject
        elif step.call.kind == "swap":
            if self.other is None:
                raise Declined("there is no copy to change places with")
            self.subject, self.other = self.other, self.subject
        elif step.call.kind == "reset":
            self.subject.reset()
        elif step.call.kind == "set_decay":
            self.subject.set_decay(float(step.option("decay")))
        else:
            self.subject.freeze(step.call.kind == "freeze")

    def call(self, step: Step) -> Dict[str, Any]:
        """The named results of the step's call, after waiting for them."""
        inputs = [self.tensors[name] for name in step.inputs]
        if step.call.kind == "some_gradients":
            inputs.append(tuple(str(step.option("wanted")).split()))
        result = self.subject.fit(inputs) if step.call.kind == "fit" else getattr(self.subject, step.call.name)(*inputs)
        self.fitted = self.fitted or step.call.kind == "fit"
        named = named_results(step.call, result, self.subject)
        self.adapter.synchronize(tuple(named.values()))
        return named

    def state_before(self, step: Step) -> Dict[str, np.ndarray]:
        """Copies of the state before the step: the running statistics; for a scaler, the fitted mean and var."""
        if self.scaling and self.fitted and step.call.kind != "fit":
            return {n: np.array(self.numpy(n, t)) for n, t in zip(("mean", "var"), self.subject.statistics())}
        return {} if self.stateless else self.state()

    def state(self) -> Dict[str, np.ndarray]:
        """Copies of the running statistics."""
        mean, var = self.subject.state()
        return {n: np.array(self.numpy(n, t)) for n, t in zip(STATE, (mean, var))}

    def numpy(self, name: str, tensor: Any) -> np.ndarray:
        """The tensor as an array that can be sent. Raises UsageError: it is not an array, or its dtype is unsupported."""
        array = self.adapter.array(tensor)
        if not isinstance(array, np.ndarray):
            raise UsageError("array() made %s a %s, not a NumPy array" % (name, type(array).__name__))
        check_dtype(array.dtype)
        return array

    def bits(self, tensor: Any) -> bytes:
        """The tensor's values as bytes."""
        return self.adapter.array(tensor).tobytes()

    def aliases(
        self, results: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> Tuple[Tuple[Tuple[str, str], ...], bool]:
        """Pairs of a result and the argument or state that shares its memory; and whether all addresses are known."""
        others = dict(arguments)
        if not self.stateless:
            others.update(zip(STATE, self.subject.state()))
        ours, theirs = ({n: self.adapter.extent(t) for n, t in tensors.items()} for tensors in (results, others))
        pairs = tuple((o, n) for o, a in ours.items() for n, b in theirs.items() if a and b and intersect(a, b))
        return pairs, None not in (*ours.values(), *theirs.values())


def named_results(call: Call, result: Any, subject: Any) -> Dict[str, Any]:
    """The tensors of a call's result by name, without those that are None; for a fit, the fitted statistics.

    Raises UsageError: the result does not have the type that the contract requires.
    """
    if call.kind == "fit":
        mean, var = subject.statistics()
        return {"mean": mean, "var": var}
    if call.kind == "learn":
        return {"loss": result}
    returned = RESULTS.get(call.kind)
    if returned is None:
        return {NAMED.get(call.kind, "y"): result}
    if not isinstance(result, returned):
        raise UsageError("%s returned %s, not contract.%s" % (call, type(result).__name__, returned.__name__))
    return {n: t for n, t in result._asdict().items() if t is not None}


def _build(
    adapter: Adapter, case: Case, specs: Mapping[str, Any], buffers: List[bytes], i: int = 0
) -> Tuple[Any, StepResult]:
    """The layer or network of step i over fresh memory, or the result for all its steps if it cannot be built."""
    step, as_built = case.steps[i], case.overridden(case.overrides(i))
    reason = _unsupported(adapter, as_built)
    if step.refused and case.subject != "input_norm" and not adapter.conventions.checks_arguments:
        reason = UNCHECKED
    if reason:
        return None, StepResult("declined", reason)
    try:
        if step.option("threads"):
            adapter.use_threads(int(step.option("threads")))
        if case.subject == "network":
            return LiveNetwork(adapter, as_built, unpack(specs, buffers), step), StepResult("ok")
        parameters = {n: str(step.option(n, n)) for n in PARAMETERS if n in case.arrays}
        initial = bool(step.option("initial"))
        arrays, fences = unpack_fenced(specs, buffers)
        return Live(adapter, as_built, arrays, parameters, initial, fences), StepResult("ok")
    except Declined as declined:
        return None, StepResult("declined", declined.what)
    except Exception as error:  # failing to build a layer is an observation
        examine(adapter, error)
        return None, StepResult("error", described(error))


def _unsupported(adapter: Adapter, case: Case) -> str:
    config, conventions = case.config, adapter.conventions
    if case.subject == "layer_norm":
        return conventions.declines_dtypes(config.dtype, config.parameter_dtype)
    if case.subject != "batch_norm":
        if case.subject == "input_norm" and not conventions.input_normalization:
            return "input normalization is not supported"
        return "" if config.dtype in conventions.dtypes else "x of dtype %s is not supported" % config.dtype
    return conventions.declines(config.dtype, config.parameter_dtype, config.rank, config.channel_axis, config.affine)


def _overall(results: List[StepResult]) -> Status:
    statuses = {r.status for r in results}
    whole: Tuple[Status, ...] = ("error", "declined", "not_run")
    return next((status for status in whole if statuses == {status}), "ok")


def check_contract(adapter: Adapter) -> None:
    """Build a tiny layer and check that it has every method. Raises UsageError naming the missing ones.

    An adapter may decline layers, or scalers, of any form: then the first that it builds is checked, and none if it builds none.
    """
    conventions, owner = adapter.conventions, type(adapter).__name__
    configs = _tiny_configs(conventions)
    layer = next(
        (made for made in (_tiny_layer(adapter, config) for config in configs) if made is not _DECLINED), _DECLINED
    )
    wanted = ("training", "inference", "training_gradients", "inference_gradients", "state")
    missing = [c for c in wanted if not callable(getattr(layer, c, None))]
    if layer is not _DECLINED and missing:
        raise UsageError("%s lacks the method(s) %s." % (type(layer).__name__, ", ".join(missing)), *_CONTRACT)
    if not conventions.input_normalization:
        return
    try:
        scaler: Any = adapter.scaler(configs[0])
    except Declined:
        return
    if not isinstance(scaler, Scaler):
        raise UsageError("%s.scaler does not return a contract.Scaler." % owner, *_CONTRACT)


#: Instead of a layer that the adapter declines to build.
_DECLINED = object()


def _tiny_configs(conventions: Conventions) -> List[LayerConfig]:
    """Forms of a layer of two channels: with and without parameters, of any epsilon and decay and of the defaults."""
    dtype = "float32" if "float32" in conventions.dtypes else conventions.dtypes[0]
    parameters = dtype if dtype == "float64" or "input" in conventions.half_parameters else "float32"
    rank = min(conventions.ranks)
    axis = 1 if conventions.offers_axis(rank, 1) else rank - 1
    numbers = ((2.0**-10, 0.5), (conventions.default_epsilon, conventions.default_decay))
    affine = (True, False) if conventions.affine_optional else (True,)
    return [LayerConfig(rank, axis, 2, e, decay, dtype, parameters, a) for e, decay in numbers for a in affine]


def _tiny_layer(adapter: Adapter, config: LayerConfig) -> Any:
    """The layer of this form, or ``_DECLINED``. Raises UsageError: ``layer`` takes other arguments."""
    try:
        given = [adapter.tensor(np.ones(2, config.parameter_dtype)) for _ in PARAMETERS]
        return adapter.layer(config, *([None, None, *given[2:]] if not config.affine else given))
    except Declined:
        return _DECLINED
    except TypeError as error:
        raise UsageError("%s.layer cannot build a layer: %s" % (type(adapter).__name__, error), *_CONTRACT) from None


_CONTRACT = (
    "the contract in bnspec/contract.py asks for training, inference, training_gradients, inference_gradients and state.",
    "add the method; raise Declined in it for what the implementation does not offer.",
)
