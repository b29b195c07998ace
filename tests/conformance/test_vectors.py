"""Test vectors: well formed, covering their clauses, exact, reproducible, and able to detect mutants."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import ml_dtypes
import numpy as np
import pytest
import second_oracle
import vector_reader
from vector_reader import Family

from bnspec.backends.numpy.specification import NumpyLayer, NumpyScaler
from bnspec.clauses import ASKED, CLAUSES
from bnspec.cli import main
from bnspec.conformance.checks import CHECKS
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS, VARIANTS
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.vectors.folder import safetensors, schema_text, write_vectors
from bnspec.conformance.vectors.plan import ABOUT, FLAGS
from bnspec.conformance.vectors.table import FAMILIES, NOT_IN_A_FILE
from bnspec.errors import UsageError
from bnspec.oracle.oracle import Oracle

READER = Path(__file__).resolve().parents[2] / "docs" / "vectors" / "read_vectors.py"
PLANS = [plan for make in FAMILIES.values() for plan in make()]


def is_exempt(clause: str) -> bool:
    """Whether test vectors cannot cover the clause."""
    return clause in NOT_IN_A_FILE or CLAUSES[clause].family in NOT_IN_A_FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All vectors, written once."""
    place = tmp_path_factory.mktemp("vectors") / "all"
    write_vectors(place)
    return place


@pytest.fixture(scope="module")
def families(folder: Path) -> dict[str, Family]:
    """All vectors, read."""
    return {name: Family(folder / f"{name}.json") for name in FAMILIES}


# --- the plans --------------------------------------------------------------------------------------------------------


def test_ids_are_distinct_and_flags_are_explained() -> None:
    """And every flag and family is used."""
    assert len({p.id for p in PLANS}) == len(PLANS)
    assert {f for p in PLANS for f in p.flags} == FLAGS.keys()
    assert ABOUT.keys() == FAMILIES.keys() == {p.family for p in PLANS}


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: p.id)
def test_a_vector_asks_the_clauses_that_it_names(plan: Any) -> None:
    """The clause's own check finds something to judge in some call of the vector."""
    case, checks = plan.case(), {c.clause: c for c in CHECKS}
    oracle = Oracle(case)
    for clause in plan.clauses:
        check = checks[clause]
        assert any(s.call in check.calls and check.domain(oracle, s).any() for s in case.steps), clause


def test_every_clause_has_a_vector_or_a_reason() -> None:
    """What backends are asked and values can show, a file shows."""
    covered = {c for p in PLANS for c in p.clauses}
    assert covered <= CLAUSES.keys()
    exempt = {c for c in ASKED if is_exempt(c)}
    assert covered | exempt == ASKED.keys()
    assert not covered & exempt


# --- the files --------------------------------------------------------------------------------------------------------


def test_the_files_keep_their_schema(folder: Path) -> None:
    """The schema itself is valid, each family keeps it, and a copy lies beside them."""
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in FAMILIES:
        validator.validate(json.loads((folder / f"{name}.json").read_text()))
    assert (folder / "vectors.schema.json").read_text() == schema_text()
    broken = json.loads((folder / "epsilon.json").read_text())
    del broken["vectors"][0]["purpose"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)


def test_the_index_lists_the_files(folder: Path) -> None:
    """Names, numbers of vectors, sizes; all together stay below 20 MB."""
    index = json.loads((folder / "index.json").read_text())
    named = {f for row in index["families"] for f in (row["file"], row["arrays"])}
    assert {p.name for p in folder.iterdir()} == named | {"index.json", index["json_schema"]}
    assert sum(row["vectors"] for row in index["families"]) == len(PLANS)
    assert sum(p.stat().st_size for p in folder.iterdir()) < 20e6


def test_arrays_are_packed_aligned_and_all_named(families: dict[str, Family]) -> None:
    """No holes, no overlap, no array that no vector names, shapes as outputs have them."""
    for family in families.values():
        end = 0
        for entry in family.header.values():
            low, high = entry["data_offsets"]
            itemsize = np.dtype(vector_reader.TYPES[entry["dtype"]]).itemsize
            assert (low, low % itemsize, high - low) == (end, 0, itemsize * int(np.prod(entry["shape"])))
            end = high
        assert end == len(family.data)
        assert sorted(keys_in(family.document)) == sorted(family.arrays)


def keys_in(document: dict[str, Any]) -> set[str]:
    """Every array that a family's vectors name."""
    found: set[str] = set()
    for vector in document["vectors"]:
        found |= {k for k in vector["parameters"].values() if k}
        for call in vector["calls"]:
            for given in call["inputs"].values():
                found |= {given} if isinstance(given, str) else set(given)
            for output in call["expected"]:
                found |= {output[n] for n in ("value", "residual", "permissive", "lenient", "accept") if output[n]}
    return found


def test_numbers_are_exact_in_both_notations(families: dict[str, Family]) -> None:
    """Decimal and hexadecimal read back as the same double."""
    for family in families.values():
        numbers = [v["config"][n] for v in family.document["vectors"] for n in ("epsilon", "decay")]
        for number in (*numbers, *family.document["largest"].values()):
            assert float(number["decimal"]) == float.fromhex(number["hex"])


def test_the_same_release_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """In another process, with other hashes of strings, whatever else is asked for."""
    command = [sys.executable, "-m", "bnspec", "vectors", "--out", str(tmp_path / "again"), "--json"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(said.stdout)["out"] == str(tmp_path / "again")
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_safetensors_holds_every_dtype_and_shape() -> None:
    """Header of a multiple of 8 bytes, empty arrays, bfloat16 by its bits."""
    arrays = {
        "half": np.array([1.5, -2.0], ml_dtypes.bfloat16),
        "empty": np.zeros((0, 3), np.float32),
        "wide": np.array([[1.0], [2.0]]),
        "code": np.array([1, 2, 3], np.uint8),
    }
    raw = safetensors(arrays, {"note": "text"})
    begin = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:begin])
    assert begin % 8 == 0
    assert header.pop("__metadata__") == {"note": "text"}
    assert [header[n]["dtype"] for n in arrays] == ["BF16", "F32", "F64", "U8"]
    low, high = header["half"]["data_offsets"]
    assert raw[begin + low : begin + high] == arrays["half"].tobytes()
    assert header["empty"]["data_offsets"][0] == header["empty"]["data_offsets"][1]


# --- the values -------------------------------------------------------------------------------------------------------


def test_value_and_residual_are_the_exact_result_to_beyond_double(families: dict[str, Family]) -> None:
    """Against the second oracle, in rationals: the pair is off by less than the residual's own last place."""
    family, compared = families["running"], 0
    for vector in family.document["vectors"]:
        config, call = vector_reader.config_of(vector), vector["calls"][0]
        x = np.moveaxis(family.get(call["inputs"]["x"]).astype(np.float64), config.channel_axis, 0)
        rows = [row.reshape(-1).tolist() for row in x]
        old = {
            n: family.get(vector["parameters"][n]).astype(np.float64).tolist() for n in ("running_mean", "running_var")
        }
        decay = Fraction(config.decay)
        for output in call["expected"]:
            name, correction = output["output"], output["correction"] or 0
            if not name.startswith("running_"):
                continue
            for c, row in enumerate(rows):
                channel, m = second_oracle.Channel(row, [], 1.0, 0.0, config.epsilon), len(row)
                new = channel.mean if name == "running_mean" else channel.var * m / (m - correction)
                exact = decay * Fraction(old[name][c]) + (1 - decay) * new
                value, rest = (float(family.get(output[n])[c]) for n in ("value", "residual"))
                assert value == float(exact)
                assert abs(Fraction(value) + Fraction(rest) - exact) <= Fraction(float(np.spacing(abs(value)))) / 2**52
                compared += 1
    assert compared > len(family.document["vectors"])


def test_bounds_are_nested_and_codes_leave_no_number_behind(families: dict[str, Family]) -> None:
    """0 <= permissive <= lenient where something is said, NaN where not."""
    for family in families.values():
        for vector in family.document["vectors"]:
            for output in (o for c in vector["calls"] for o in c["expected"]):
                value, good, wide = (family.get(output[n]) for n in ("value", "permissive", "lenient"))
                code = np.zeros(value.shape, np.uint8) if output["accept"] is None else family.get(output["accept"])
                said = code == vector_reader.WITHIN
                assert (np.isfinite(value) == said).all()
                assert ((good >= 0.0) & (good <= wide))[said].all(), (vector["id"], output["output"])
                assert (np.isnan(good) & np.isnan(wide))[~said].all()
                assert output["accept"] is None or code.any()


@pytest.mark.parametrize("tier", ["lenient", "permissive"])
def test_correct_layers_stay_within_every_bound(families: dict[str, Family], tier: str) -> None:
    """The NumPy backend and every correct variant, however unusual, that follows the conventions of the vectors."""
    known = [("numpy", NumpyLayer, 0), ("plain", PlainLayer, 1)]
    usual = [
        v for v in VARIANTS if not v.is_scaler and not v.implementation.declares and v.name != "declines_as_it_goes"
    ]
    known += [(v.name, v.implementation, 1) for v in usual]
    for name, layer_class, correction in known:
        for family in layer_families(families):
            assert vector_reader.failures(family, layer_class, correction, tier) == [], name


def test_vectors_find_the_mutants(families: dict[str, Family]) -> None:
    """Every layer mutant that violates a clause about values on all paths, and normalises by the variance of the vectors."""
    mutants = [m for m in MUTANTS if not m.path and not m.is_scaler and m.killed_by != ("dtype.results",)]
    mutants = [m for m in mutants if not m.implementation.calls]  # the vectors have no others than the five
    mutants = [m for m in mutants if not m.implementation.declares.get("normalising_correction")]
    asked = [m for m in mutants if not any(map(is_exempt, m.killed_by))]
    for mutant in asked:
        found = (vector_reader.failures(f, mutant.implementation, 1, "permissive") for f in layer_families(families))
        assert any(found), mutant.name
    assert len(asked) > 40


def layer_families(families: dict[str, Family]) -> list[Family]:
    """The families of batch normalization."""
    return [f for n, f in families.items() if n != "input"]


@pytest.mark.parametrize(("defect", "caught"), [("none", False), ("variance of the parts averaged", True)])
def test_input_vectors_tell_a_merge_from_an_average(families: dict[str, Family], defect: str, caught: bool) -> None:
    """The NumPy scaler stays within its bounds; the average of the parts' variances does not."""
    family, wrong = families["input"], []
    for vector in family.document["vectors"]:
        config = vector_reader.config_of(vector)
        for call in vector["calls"]:
            given = {n: family.get(k) for n, k in call["inputs"].items() if n != "chunks"}
            if call["mode"] == "fit":
                scaler, chunks = NumpyScaler(config), [family.get(k) for k in call["inputs"]["chunks"]]
                scaler.fit(chunks)
                results = dict(zip(("mean", "var"), scaler.statistics(), strict=True))
                if defect != "none":
                    results["var"] = np.mean([np.var(c.astype(np.float64), axis=0) for c in chunks if c.size], axis=0)
            else:
                std = np.where(given["var"] > 0.0, np.sqrt(given["var"].astype(np.float64)), 1.0)
                if call["mode"] == "transform":
                    results = {"y": ((given["x"] - given["mean"].astype(np.float64)) / std).astype(given["x"].dtype)}
                else:
                    results = {"x": (given["y"] * std + given["mean"]).astype(given["y"].dtype)}
            wrong += [
                (vector["id"], output["output"])
                for output in call["expected"]
                if vector_reader.wrong_elements(family, output, results[output["output"]], "permissive").any()
            ]
    assert bool(wrong) == caught, wrong
    assert not caught or any("chunk" in i for i, _ in wrong)


# --- the reader -------------------------------------------------------------------------------------------------------

KERNELS = """
import numpy as np

def centred(x, axis):
    axes = tuple(a for a in range(x.ndim) if a != axis)
    c = x.astype(np.float64) - x.astype(np.float64).mean(axes, keepdims=True)
    return c, (c * c).mean(axes, keepdims=True)

def scaled(z, x, gamma, beta, axis):
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    y = z if gamma is None else gamma.reshape(shape).astype(np.float64) * z + beta.reshape(shape)
    with np.errstate(over="ignore"):
        return y.astype(x.dtype)

def right(x, gamma, beta, epsilon, axis):
    c, var = centred(x, axis)
    return scaled(c / np.sqrt(var + epsilon), x, gamma, beta, axis)

def epsilon_outside_root(x, gamma, beta, epsilon, axis):
    c, var = centred(x, axis)
    return scaled(c / (np.sqrt(var) + epsilon), x, gamma, beta, axis)
"""


@pytest.fixture
def reader(folder: Path, tmp_path: Path) -> Any:
    """Run the example on a family, away from the checkout, with kernels beside it and without this package."""
    (tmp_path / "kernels.py").write_text(KERNELS)

    def run(family: str, kernel: str, *tier: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "read_vectors.py"
        script.write_bytes(READER.read_bytes())
        command = [sys.executable, str(script), str(folder / f"{family}.json"), f"kernels:{kernel}", *tier]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


@pytest.mark.parametrize("family", ["training", "epsilon", "affine", "layout", "extents", "dtype", "special"])
def test_the_example_accepts_a_correct_function(reader: Any, family: str) -> None:
    """Exit status 0, a line for each vector, no ratio above 1."""
    end = reader(family, "right")
    assert end.returncode == 0, end.stdout + end.stderr
    lines = end.stdout.splitlines()
    assert len(lines) >= sum(p.family == family for p in PLANS)
    assert all(float(line.split()[2]) <= 1.0 for line in lines)


@pytest.mark.parametrize("tier", [(), ("lenient",)], ids=["permissive", "lenient"])
def test_the_example_refuses_an_epsilon_outside_the_root(reader: Any, tier: tuple[str, ...]) -> None:
    """Exit status 1, and the vectors whose epsilon counts are named."""
    end = reader("epsilon", "epsilon_outside_root", *tier)
    assert end.returncode == 1, end.stdout + end.stderr
    wrong = [line for line in end.stdout.splitlines() if line.startswith("WRONG")]
    assert any("epsilon.above_variance_nchw" in line for line in wrong)
    assert all(float(line.split()[2]) > 1.0 for line in wrong)


def test_the_example_is_short_and_needs_numpy_alone() -> None:
    """Under 40 lines; the standard library and NumPy."""
    text = READER.read_text()
    assert len(text.splitlines()) < 40
    imported = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"numpy"}


# --- bad calls --------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_empty_is_refused_untouched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, what, why and fix; nothing is written beside it either."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert main(["vectors", "--out", str(tmp_path / "mine"), "--family", "layout"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert all(word in said.err for word in ("is not empty", "Why:", "Fix:"))
    assert [p.name for p in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_an_empty_folder_and_a_missing_one_are_both_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the families that were asked for."""
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "not" / "yet"):
        assert main(["vectors", "--out", str(place), "--family", "degenerate"]) == 0
        assert {p.stem for p in place.glob("*.safetensors")} == {"degenerate"}
    assert "degenerate" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--family", "epsilom"], ["--out", "file.txt"]], ids=lambda w: w[0])
def test_a_wrong_call_leaves_nothing_behind(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped family names its neighbour; a file is no folder."""
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("keep")
    assert main(["vectors", "--out", "new", *words]) == 2
    assert "Fix:" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_what_fails_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder appears whole or not at all."""
    from bnspec.conformance.vectors import folder as vectors_folder

    def fails(family: str) -> Any:
        raise UsageError("no") if family == "epsilon" else None

    monkeypatch.setattr(vectors_folder, "family_document", fails)
    with pytest.raises(UsageError):
        write_vectors(tmp_path / "new", ["epsilon"])
    assert list(tmp_path.iterdir()) == []
