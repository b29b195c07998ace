"""A timing is worth what its outputs are: each way in which a timed call can be wrong or fail shows in its record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.benchmarks.timing.judge_outputs import TimedCase, cut, judged_channels
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.suites import BASIC
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.call import INFERENCE
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.codec import decode, encode
from bnspec.reports.run.records import Timing

Start = Callable[..., Worker]


def small(pass_name: str = "training", shape: tuple[int, ...] = (6, 3), channel_axis: int = 1) -> Workload:
    """A workload of a few elements."""
    return Workload("small", shape, channel_axis, "float32", pass_name)


def timed(worker: Worker, workload: Workload, seconds: float = 0.001, **options: object) -> Timing:
    """The record of one cell; it keeps the schema, whatever happened."""
    record, _ = measure(worker, TimedCase(workload), {"seconds": seconds, **options})
    assert decode(encode(record)) == record
    return record


@pytest.mark.parametrize("channel_axis", [1, 2])
@pytest.mark.parametrize("pass_name", BASIC)
def test_a_correct_layer_conforms_in_every_pass(pass_name: str, channel_axis: int, numpy_worker: Worker) -> None:
    """The control: a right layer conforms, and has samples, a first call and a ratio."""
    record = timed(numpy_worker, small(pass_name, (4, 5, 3), channel_axis))
    assert record.verdict == "conforms", record.message
    assert len(record.samples_ns) > 1
    assert record.median_ns == float(np.median(record.samples_ns))
    assert record.first_ns
    assert 0 < float(record.ratio or 0) <= 1


@pytest.mark.parametrize("pass_name", BASIC)
def test_half_precision_is_judged_too(pass_name: str, numpy_worker: Worker) -> None:
    """Where the lenient bound says nothing, the permissive one does."""
    record = timed(numpy_worker, Workload("half", (300, 3), 1, "bfloat16", pass_name))
    assert record.verdict == "conforms", record.message


WRONG = {
    "an answer that is kept and given again": """
        def training(self, x):
            if self.answer is None:
                self.answer = super().training(x)
            return self.answer
        """,
    "an answer that is remembered by the address of x": """
        def training(self, x):
            self.answer = self.answer or {}
            key = x.__array_interface__["data"][0] // 2**30
            if key not in self.answer:
                self.answer[key] = super().training(x)
            return self.answer[key]
        """,
    "no computation at all": "def training(self, x): return np.empty_like(x)",
    "a state that does not move": """
        def training(self, x):
            mean, var = self.running_mean.copy(), self.running_var.copy()
            y = super().training(x)
            self.running_mean[:], self.running_var[:] = mean, var
            return y
        """,
    "one wrong element": """
        def training(self, x):
            y = super().training(x)
            y.flat[-1] += 1
            return y
        """,
    "another shape": "def training(self, x): return super().training(x)[:-1]",
    "an argument as the room for the result": """
        def training(self, x):
            x[...] = super().training(x)
            return x.copy()
        """,
}


@pytest.mark.parametrize("defect", WRONG)
def test_outputs_that_are_wrong_deviate_however_fast_they_came(defect: str, worker_of: Start) -> None:
    """The last timed call is judged: its results, the state it left, and what it wrote into."""
    record = timed(worker_of(WRONG[defect]), small())
    assert record.verdict in ("deviates", "rejected")
    assert record.samples_ns
    assert record.message


def test_an_inference_that_moves_the_state_deviates(worker_of: Start) -> None:
    """Inference leaves the statistics as they are, to the bit."""
    layer = "def inference(self, x):\n    y = super().inference(x)\n    self.running_mean[0] += 1\n    return y"
    assert timed(worker_of(layer), small("inference")).verdict == "deviates"


def test_a_missing_gradient_deviates(worker_of: Start) -> None:
    """An output that is not there was not computed."""
    layer = "def training_gradients(self, x, dy):\n    return super().training_gradients(x, dy)._replace(dgamma=None)"
    record = timed(worker_of(layer), small("training_gradients"))
    assert (record.verdict, record.ratio) == ("deviates", "inf")
    assert "dgamma is missing" in record.message


def test_every_sample_contains_the_whole_call(worker_of: Start) -> None:
    """A call that sleeps 5 ms takes at least 5 ms in every sample: nothing is averaged away or subtracted."""
    worker = worker_of("def inference(self, x):\n    time.sleep(0.005)\n    return super().inference(x)")
    record = timed(worker, small("inference"), rounds=4, min_rounds=4)
    assert len(record.samples_ns) == 4
    assert min(*record.samples_ns, record.first_ns or 0) >= 5_000_000


def test_the_wait_for_the_results_is_inside_the_sample(worker_of: Start) -> None:
    """A call that only dispatches is timed until its results are there."""
    worker = worker_of(adapter="def synchronize(self, result):\n    time.sleep(0.005)")
    assert min(timed(worker, small(), rounds=3, min_rounds=3).samples_ns) >= 5_000_000


def test_the_first_call_is_kept_apart(worker_of: Start) -> None:
    """What happens once, as compilation does, is in first_ns and in no sample."""
    layer = """
        def inference(self, x):
            if self.answer is None:
                self.answer = True
                time.sleep(0.2)
            return super().inference(x)
        """
    record = timed(worker_of(layer), small("inference"), rounds=5)
    assert (record.first_ns or 0) >= 200_000_000
    assert record.median_ns is not None
    assert record.median_ns < (record.first_ns or 0)


def test_rounds_bound_the_samples_from_both_sides(numpy_worker: Worker) -> None:
    """However short the time, min_rounds are taken; however long, rounds are not exceeded."""
    assert len(timed(numpy_worker, small(), seconds=0.0, min_rounds=7).samples_ns) == 7
    assert len(timed(numpy_worker, small(), seconds=60.0, rounds=9).samples_ns) == 9
    assert len(timed(numpy_worker, small(), seconds=0.0, rounds=1).samples_ns) == 1


def test_the_worker_reports_the_conditions_of_the_samples(numpy_worker: Worker) -> None:
    """What the clock itself takes, the warm-up and the page faults come with the samples."""
    _, (timing, _) = measure(numpy_worker, TimedCase(small()), {"seconds": 0.001})
    assert timing is not None
    assert timing.overhead_ns > 0
    assert timing.warmup >= 3
    assert timing.page_faults_per_call is not None
    assert timing.page_faults_per_call >= 0
    assert timing.threads is None


ENDS = {
    "declined by the layer": ("declined", "def training(self, x): raise Declined('not on Sundays')", ""),
    "outside the conventions": ("declined", "", "conventions = Conventions(ranks=(2, 4), channel_axes='last')"),
    "an exception": ("error", "def training(self, x): raise RuntimeError('not on Sundays')", ""),
    "a state that cannot be read": ("error", "def state(self): raise RuntimeError('not on Sundays')", ""),
    "a dead process": ("crashed", "def training(self, x): os.kill(os.getpid(), signal.SIGKILL)", ""),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_was_not_timed_says_how_it_ended(end: str, worker_of: Start) -> None:
    """No samples and no ratio, but the reason."""
    verdict, layer, adapter = ENDS[end]
    record = timed(worker_of(layer, adapter), small("training", (4, 3, 5)) if adapter else small())
    assert (record.verdict, record.samples_ns, record.ratio) == (verdict, (), None)
    assert record.message


def test_steps_before_the_last_make_the_state_and_are_not_timed(numpy_worker: Worker) -> None:
    """The timed call starts from the state that the earlier steps left."""
    case = small().case()
    (step,) = case.steps
    once = case.with_(steps=(step, type(step)(INFERENCE, ("x",))))
    timing, observation = numpy_worker.time(once, {"rounds": 2, "seconds": 0.0})
    result = observation.steps[0]
    assert timing is not None
    assert len(timing.samples_ns) == 2
    assert result.before["running_mean"].tobytes() != case.arrays["running_mean"].tobytes()


def test_the_judged_channels_are_spread_and_the_oracle_of_them_is_that_of_the_whole(numpy_worker: Worker) -> None:
    """A case cut down to some channels has the exact answers and the bounds of the whole there."""
    assert judged_channels(3, 6).tolist() == [0, 1, 2]
    channels = judged_channels(64, 2**20)
    assert (len(channels), channels[0], channels[-1]) == (4, 0, 63)
    case = small("training_gradients", (4, 5, 7), 2).case()
    some, state = np.array([0, 3, 6]), {n: case.arrays[n] for n in ("running_mean", "running_var")}
    conventions = numpy_worker.hello.conventions
    assert conventions is not None
    whole = Oracle(case).expect(case.steps[0], state, conventions)
    part = Oracle(cut(case, some)).expect(case.steps[0], {n: a[some] for n, a in state.items()}, conventions)
    for name, expected in whole.items():
        axis = 2 if expected.value.ndim > 1 else 0
        assert (np.take(expected.value, some, axis) == part[name].value).all(), name
        assert (np.take(expected.bounds["lenient"], some, axis) == part[name].bounds["lenient"]).all(), name


GRAPHS = """
def instruments(self):
    from bnspec.model.instruments import Graph, Instruments

    class Recorded(Graph):
        def __init__(self, function, inputs):
            self.function, self.inputs = function, [np.array(x) for x in inputs]
            self.result = function(*self.inputs)

        def load(self, inputs):
            for own, given in zip(self.inputs, inputs):
                own[...] = given

        def replay(self):
            {replay}
            return self.result

    class Recording(Instruments):
        def graph(self, function, inputs):
            return Recorded(function, inputs)

    return Recording()
"""
REPLAYS = {"conforms": "self.result[...] = self.function(*self.inputs)", "rejected": "pass"}


@pytest.mark.parametrize("verdict", REPLAYS)
def test_what_a_replayed_graph_computes_is_judged(verdict: str, worker_of: Start) -> None:
    """The results of the replays that were timed, not only those of a call beside them."""
    worker = worker_of(adapter=GRAPHS.format(replay=REPLAYS[verdict]))
    record = timed(worker, small("inference"), mode="graph")
    assert record.verdict == verdict, record.message
    assert record.calls_per_sample == 1
