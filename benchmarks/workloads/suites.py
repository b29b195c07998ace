"""The suites of workloads, of growing length, and the layers of chosen models.

``short`` is for a quick check, ``standard`` for a report, ``full`` for a page of charts: every distinct shape of 70 models. ``device``
is for accelerators: layers of their size, and one that is too small for them and shows what a call costs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from bnspec.benchmarks.workloads.models import distinct_shapes, select_models
from bnspec.benchmarks.workloads.workload import PASSES, REGIMES, Pass, Shape, Workload
from bnspec.errors import UsageError

#: The layer's most used passes.
BASIC = ("training", "training_gradients", "inference")
#: Elements that batches of models are cut to: two cores finish a call in a fraction of a second, 16 copies fit into 1 GiB
#: (``full``, save where one sample is larger) and the inputs still exceed the caches of most processors (``standard``: 8 MiB).
MOST = {"short": 2**21, "standard": 2**21, "full": 2**23, "device": 2**25}
#: The model whose layers every standard run has.
ANCHOR = "torchbench/resnet50"


def _of(
    name: str, shape: Shape, axis: int, passes: Iterable[str] = BASIC, dtype: str = "float32", regime: str = "ordinary"
) -> tuple[Workload, ...]:
    return tuple(Workload(name, shape, axis, dtype, p, regime) for p in passes)


def model_workloads(patterns: Sequence[str], most: int, passes: Iterable[str] = BASIC) -> tuple[Workload, ...]:
    """The distinct layers of these models (globs; all, when none is given), batches cut to ``most`` elements.

    Raises UsageError: a pattern that matches nothing.
    """
    name = ", ".join(patterns) or "70 models"
    found = distinct_shapes(select_models(patterns), most)
    return tuple(
        Workload(name, d.shape, 1, "float32", p, scaled_from=() if d.largest == d.shape else d.largest, weight=d.layers)
        for d in found
        for p in passes
    )


#: Extents of the images in the scan of sizes.
SIDES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def scans(every: int, passes: Iterable[str], most: int) -> tuple[Workload, ...]:
    """The families for charts: every ``every``-th point with at most ``most`` elements.

    "count": 16 to 65,536 rows of 64 features; "channels": 1024 rows of 1 to 4096 features; "size": 8 x 64 x s x s images.
    """
    families: dict[str, list[Shape]] = {
        "count": [(16 * 2**i, 64) for i in range(13)],
        "channels": [(1024, 2**i) for i in range(13)],
        "size": [(8, 64, side, side) for side in SIDES],
    }
    points = ((scan, s) for scan, shapes in families.items() for s in shapes[::every] if math.prod(s) <= most)
    return tuple(
        Workload(f"scan of {scan}", shape, 1, "float32", p, scans=(scan,)) for scan, shape in points for p in passes
    )


def distinct(listed: Iterable[Workload]) -> tuple[Workload, ...]:
    """Each workload once; two with the same id become one, with the scans of both and whichever origin and weight there is."""
    kept: dict[str, Workload] = {}
    for workload in listed:
        first = kept.setdefault(workload.id, workload)
        both = tuple(dict.fromkeys([*first.scans, *workload.scans]))
        taken = first if first.weight else workload
        kept[workload.id] = dataclasses.replace(first, scans=both, scaled_from=taken.scaled_from, weight=taken.weight)
    return tuple(kept.values())


TALL: tuple[Shape, int] = ((4096, 64), 1)
IMAGE: tuple[Shape, int] = ((16, 64, 28, 28), 1)
LAST: tuple[Shape, int] = ((16, 28, 28, 64), 3)
#: A few seconds a backend: a long table of features, an image with the channels first and last, and a call short enough to show
#: the overhead.
SHORT = (
    *_of("tall and skinny", *TALL),
    *_of("image, channels first", *IMAGE),
    *_of("image, channels last", *LAST, ("training_gradients", "inference")),
    *_of("one small call", (32, 16), 1, ("training_gradients", "inference")),
)
#: Those, and one of everything else: precisions, regimes, other passes, other layers, networks; ResNet-50; short scans.
STANDARD = (
    *SHORT,
    *_of("image, channels last", *LAST),
    *_of("one small call", (32, 16), 1),
    *_of("fully connected", (256, 2048), 1),
    *_of("a sequence", (16, 64, 512), 1),
    *_of("a volume", (4, 16, 8, 24, 24), 1),
    *(w for dtype in ("float64", "bfloat16", "float16") for w in _of(dtype, IMAGE[0], IMAGE[1], dtype=dtype)),
    *(
        w
        for r in REGIMES[1:]
        for w in _of(f"{r} values", IMAGE[0], IMAGE[1], ("training", "training_gradients"), regime=r)
    ),
    *_of("one value", (1, 1), 1, ("inference",)),
    *_of("two rows", (2, 3), 1),
    *_of("one sample", (1, 3, 8, 8), 1),
    *_of("pooled image", (32, 64, 1, 1), 1),
    *_of("frozen, fully connected", (256, 2048), 1, ("frozen",)),
    *_of("frozen image", *IMAGE, ("frozen",)),
    *_of("table of features", (65536, 16), 1, ("fit", "transform")),
    *_of("wide table", (4096, 256), 1, ("fit", "transform")),
    *_of("against layer norm, fully connected", (256, 2048), 1, ("layer_norm", "layer_norm_gradients")),
    *_of("against layer norm, tokens", (4096, 256), 1, (*BASIC, "layer_norm", "layer_norm_gradients")),
    *_of("dense network", (256, 512), 1, ("network_step", "plain_network_step")),
    *_of("convolutional network", (16, 14, 14, 32), 3, ("network_step", "plain_network_step")),
    *model_workloads([ANCHOR], MOST["standard"]),
    *scans(3, ("training", "training_gradients"), 2**22),
)


#: Layers as accelerators train them: the first blocks of a ResNet-50 at batch 128, in single and in half precision, with the channels
#: first and last; a million rows; and a call so short that its launch is what is timed, and it says so.
DEVICE = (
    *_of("ResNet block, channels first", (128, 64, 56, 56), 1),
    *_of("ResNet block, channels last", (128, 56, 56, 64), 3),
    *_of("ResNet block, channels first", (128, 64, 56, 56), 1, dtype="bfloat16"),
    *_of("ResNet block, channels last", (128, 56, 56, 64), 3, dtype="bfloat16"),
    *_of("a million rows", (2**20, 64), 1),
    *_of("one small call, launch-bound", (32, 16), 1),
)


def _full() -> tuple[Workload, ...]:
    regimes = (w for r in REGIMES[1:] for x, axis in (TALL, LAST) for w in _of(f"{r} values", x, axis, regime=r))
    halves = (
        w for d in ("float64", "bfloat16", "float16") for x, axis in (TALL, LAST) for w in _of(d, x, axis, dtype=d)
    )
    return (*STANDARD, *regimes, *halves, *scans(1, BASIC, MOST["full"]), *model_workloads([], MOST["full"]))


SUITES: Mapping[str, tuple[Workload, ...]] = {
    name: distinct(listed)
    for name, listed in (("short", SHORT), ("standard", STANDARD), ("full", _full()), ("device", DEVICE))
}


def workloads(suite: str, passes: Sequence[str] = (), models: Sequence[str] = ()) -> tuple[Workload, ...]:
    """The workloads of a suite, limited to these passes (none named: all).

    Args:
        models: globs; with them, the distinct layers of these models in place of the suite's workloads, batches cut as the
            suite cuts them, in the named passes (none named: the basic three).
    Raises UsageError: there is no such pass, suite or model.
    """
    for wrong in [p for p in passes if p not in PASSES]:
        raise UsageError(f"no pass is called {wrong!r}.", f"known are {', '.join(PASSES)}.", "name one of them.")
    if suite not in SUITES:
        raise UsageError(f"no suite is called {suite!r}.", f"known are {', '.join(SUITES)}.", "name one of them.")
    if models:
        return model_workloads(models, MOST[suite], passes or BASIC)
    return tuple(w for w in SUITES[suite] if not passes or w.pass_name in passes)


__all__ = [
    "BASIC",
    "MOST",
    "PASSES",
    "SUITES",
    "Pass",
    "Shape",
    "Workload",
    "distinct",
    "model_workloads",
    "scans",
    "workloads",
]
