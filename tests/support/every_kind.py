"""Records of each kind beside findings and timings: conventions, translations, stability, mutants."""

from __future__ import annotations

import math

import msgspec

from bnspec.reports.run.bits import Bits, CaseBits
from bnspec.reports.run.conventions import Convention, Proof, TranslatedPart, Translation
from bnspec.reports.run.mutants import Accusation, ClauseKills, KillMatrix, Mutant, Variant
from bnspec.reports.run.records import Record
from bnspec.reports.run.stability import (
    Curve,
    Growth,
    NotMeasured,
    OutputErrors,
    Reach,
    StabilityCurve,
    StabilityPoint,
)

CASE = "cases/0123456789ab.json"

DIFFERS = Convention(
    "alpha", "cpu", "running_correction", 1, "differs", (0,), None, "0.1 under 0, 9e3 under 1", "", (CASE,)
)
CONVENTIONS: list[Record] = [
    DIFFERS,
    Convention("alpha", "cpu", "dtypes", ("float32",), "agrees", (("float32",),), evidence="y within its bound"),
    Convention("alpha", "cpu", "epsilon_minimum", 0.0, "undecided", (0.0, 1e-5), (0.0, math.inf), "", "both explain y"),
    Convention("alpha", "cpu", "default_epsilon", 1e-5, "not observable", (), reason="an adapter gives the layer its epsilon"),
    Translation(
        "alpha", "cpu", "beta", "cpu", "inference", None, possible=True, exact=False,
        parts=(TranslatedPart("epsilon", "rounded", "epsilon' = float32(epsilon)"),), needs=("the layer is not trained",),
        proofs=(Proof("the ordinary layer", False, 0.25, 100, 100, "y"), Proof("a wide one", False, "inf", 9, 10, "dx")),
    ),
]  # fmt: skip
GROWTH = Growth("fitted", 0.98, 0.9, 1.1, 11, 30.0)
CURVE = StabilityCurve(
    "alpha", "cpu", None, "rank 2", "float32", "y", "float32", 2.0**-24, 1, False, True, GROWTH,
    Growth("few", None, None, None, 2), 5200.0, 9e6, 1.4,
    Curve((1.0, 10.0, 1e8), (1.0, 9.0, math.inf), (2.0, 12.0, math.inf), (8.0, 80.0, math.inf), (4.0, 40.0, 4e8)), None,
)  # fmt: skip
STABILITY: list[Record] = [
    StabilityPoint(
        "alpha", "cpu", None, "kappa", 10.0, "rank 2", "float32", "float32", 1000, 512, "ok", "", (9.9, math.inf),
        (True, False), {"y": OutputErrors("float32", (1.0, math.inf), (2.0, math.inf), (8.0, 8.0), (4.0, 4.0))},
    ),
    CURVE,
    NotMeasured("alpha", "cpu", 2, "", "float16", "declined", "x of dtype float16 is not offered"),
    Reach("float32", 9.9e6, 3.2e7),
]  # fmt: skip
KILLED = Mutant(
    name="epsilon_outside_root", killed=True, killed_by=("epsilon.inside_root",), family="epsilon", killed_by_family=True,
    expected=("epsilon.inside_root",), noted_by=(), path="", escapes=None, statement="Adds epsilon to the root.",
    as_it_should_be=True, cases_to_first_kill=3, seeds_as_it_should_be=2, seeds=2, stopped_after=None,
    first_kill=Accusation("epsilon.inside_root", 12.5, "y is off", CASE),
)  # fmt: skip
SURVIVES = msgspec.structs.replace(
    KILLED, name="beta_twice", killed=False, killed_by=(), killed_by_family=False, as_it_should_be=False,
    cases_to_first_kill=0, seeds_as_it_should_be=0, first_kill=None,
)  # fmt: skip
ACCUSED = Variant(
    name="sums_in_blocks", killed=True, killed_by=("training.output",), family="", killed_by_family=False, expected=(),
    noted_by=(), path="", escapes=None, statement="Sums in blocks.", as_it_should_be=False, cases_to_first_kill=9,
    seeds_as_it_should_be=1, seeds=2, stopped_after=None, worst=Accusation("training.output", "inf", "y is NaN", CASE),
)  # fmt: skip
MUTANTS: list[Record] = [
    KILLED,
    SURVIVES,
    ACCUSED,
    ClauseKills("epsilon.inside_root", "MUST", 1, ("epsilon_outside_root",), False),
    ClauseKills("running.var", "SHOULD", 0, (), True),
    KillMatrix(True, (1, 2), 350, {"wall": 10.0}),
]
BITS: list[Record] = [
    Bits("alpha", "cpu", {"0123456789ab": CaseBits({"y": "0123456789abcdef"}, "1 error ValueError, 2 declined")}),
]
EVERY = {"conventions": CONVENTIONS, "stability": STABILITY, "mutants": MUTANTS}
