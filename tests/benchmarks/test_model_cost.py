"""Costs beyond single workloads: ratios of passes, and the layers of whole models."""

from __future__ import annotations

from bnspec.benchmarks.summary.model_cost import costs, lines, model_times, to_json
from bnspec.benchmarks.workloads.models import Model
from bnspec.reports.run.records import Timing
from bnspec.reports.summary.cells import cells


def timing(pass_name: str, shape: tuple[int, ...], medians_ns: list[float], verdict: str = "conforms") -> list[Timing]:
    """A process for each median."""
    ratio = 0.5 if verdict == "conforms" else 2.0
    return [
        Timing(
            "a",
            "cpu",
            pass_name,
            shape,
            "float32",
            1,
            (round(m),),
            m,
            1,
            1,
            verdict,
            ratio,
            process=i,
            regime="ordinary",
        )
        for i, m in enumerate(medians_ns)
    ]


def test_a_network_with_the_layer_is_compared_with_the_one_without_process_by_process() -> None:
    """What both sides share cancels: the machine was half as fast in the second process."""
    listed = timing("network_step", (8, 4), [150.0, 300.0, 90.0]) + timing(
        "plain_network_step", (8, 4), [100.0, 200.0, 30.0]
    )
    (cost,) = costs(cells(listed))
    assert (cost.ratio, cost.low, cost.high) == (1.5, 1.5, 3.0)


def test_a_cost_needs_both_sides_right_and_of_one_shape() -> None:
    """A time without a right answer is no time."""
    wrong = timing("layer_norm", (8, 4), [10.0], "deviates") + timing("training", (8, 4), [10.0])
    other = timing("layer_norm", (9, 4), [10.0])
    assert costs(cells([*wrong, *other])) == []


def test_a_model_costs_its_layers_at_their_whole_batch() -> None:
    """A shape that was not timed is not covered, and the text reports it."""
    model = Model("made up", "twolayers", {(8, 4, 2, 2): 3, (8, 2, 1, 1): 1})
    listed = cells(timing("training", (2, 4, 2, 2), [1000.0, 3000.0, 2000.0]))
    (found,) = model_times(listed, [model], most=2 * 4 * 2 * 2)
    assert found.seconds == 2000.0 * 1e-9 * 4 * 3  # three layers, four times the batch that was timed
    assert found.covered == 384 / 400
    assert (found.dearest, found.share) == ((8, 4, 2, 2), 1.0)
    text = "\n".join(lines([], [found]))
    assert "96 % of the elements were timed" in text
    assert to_json([], [found])["models"][0]["model"] == "twolayers"
