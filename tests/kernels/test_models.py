"""ONNX models: what their graphs take and hold is read, a wrong one breaks the clause of its mistake, and a file that is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kernels import broken, few_cases, judged

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.backends.harness.registry import Entry
from bnspec.backends.kernels.harness import housing
from bnspec.backends.kernels.harness.found import Found, completed, found_of
from bnspec.backends.kernels.harness.recognise import recognise
from bnspec.backends.kernels.kernel import Kernel
from bnspec.conformance.kernels.fixed import LARGEST, fixed_cases, fixed_forms
from bnspec.conformance.kernels.judge import JudgeRequest, judge
from bnspec.conformance.kernels.verdict import document
from bnspec.errors import HarnessError, UsageError
from bnspec.model.conventions import Conventions

HEAD = '<ir_version: 8, opset_import: ["" : {0}]>\n'
TAKES = "float[N, C, H, W] x, float[C] scale, float[C] B, float[C] input_mean, float[C] input_var"
INFERENCE = f"t ({TAKES}) => (float[N, C, H, W] y)\n"
TRAINING = f"t ({TAKES}) => (float[N, C, H, W] y, float[C] running_mean, float[C] running_var)\n"
NODE = "{ y = BatchNormalization <epsilon = 0.00001> (x, scale, B, input_mean, input_var) }"
TRAINS = "{ y, running_mean, running_var = BatchNormalization <momentum = 0.9, training_mode = 1> (x, scale, B, input_mean, input_var) }"
STATISTICS = """
<int64[3] axes = {0, 2, 3}, int64[4] along = {1, -1, 1, 1}, float one = {1}>
{ mean = ReduceMean (x, axes)
  centred = Sub (x, mean)
  squares = Mul (centred, centred)
  var = ReduceMean (squares, axes)
  sum = Add (var, epsilon)
  root = Sqrt (sum)
  zhat = Div (centred, root)
  gamma = Reshape (scale, along)
  beta = Reshape (B, along)
  scaled = Mul (zhat, gamma)
  y = Add (scaled, beta)
  flat = Shape (scale)
  batch_mean = Reshape (mean, flat)
  batch_var = Reshape (var, flat)
  keep = Sub (one, momentum)
  old_mean = Mul (input_mean, keep)
  old_var = Mul (input_var, keep)
  new_mean = Mul (batch_mean, momentum)
  new_var = Mul (batch_var, momentum)
  running_mean = Add (old_mean, new_mean)
  running_var = Add (old_var, new_var) }
"""
DECOMPOSED = TRAINING.replace(") =>", ", float epsilon, float momentum) =>") + STATISTICS
#: Models that keep every MUST, by their opset.
RIGHT = {
    "inference of opset 9": (9, INFERENCE + NODE),
    "inference of opset 15": (15, INFERENCE + NODE),
    "training of opset 14": (14, TRAINING + TRAINS),
    "training, decomposed": (18, DECOMPOSED),
}
#: Models with one mistake, or that do not do the work; the clause that each breaks.
WRONG = {
    "an output that is constant": ("inference.output", INFERENCE + "<float zero = {0}> { y = Mul (x, zero) }"),
    "gamma is ignored": (
        "affine.per_channel",
        INFERENCE
        + "<float[1] one = {1}> { s = Shape (scale)\n ones = Expand (one, s)\n y = BatchNormalization (x, ones, B, input_mean, input_var) }",
    ),
    "training outputs are swapped": (
        "running.mean",
        TRAINING + TRAINS.replace("running_mean, running_var =", "running_var, running_mean ="),
    ),
    "each sample by itself": (
        "training.output",
        "t (float[N, C, H, W] x, float[C] scale, float[C] B) => (float[N, C, H, W] y) { y = InstanceNormalization (x, scale, B) }",
    ),
    "inference by the batch": ("training.output", TRAINING + TRAINS.replace(", training_mode = 1", "").replace("y, running_mean, running_var =", "y =").replace("}", "\n running_mean = Identity (input_mean)\n running_var = Identity (input_var) }")),
}  # fmt: skip


def written(folder: Path, opset: int, text: str) -> Path:
    """A model as text."""
    file = folder / "model.onnxtxt"
    file.write_text(HEAD.format(opset) + text)
    return file


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_model_keeps_every_must(name: str, tmp_path: Path) -> None:
    """And the document says what ran it, and what was set."""
    verdict, status = judged(written(tmp_path, *RIGHT[name]), tmp_path / "run", few_cases()[:2])
    assert (verdict.grade in "AB", status) == (True, 0), broken(verdict)
    kernel = document(verdict)["kernel"]
    assert kernel["form"] == "onnx"
    assert kernel["run_by"].startswith("ONNX Runtime")
    assert "run by ONNX Runtime" in verdict.recognised.words


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_breaks_the_clause_of_its_mistake(name: str, tmp_path: Path) -> None:
    """With exit status 1."""
    clause, text = WRONG[name]
    verdict, status = judged(written(tmp_path, 15, text), tmp_path / "run", few_cases()[:2])
    assert (verdict.grade, status) == ("F", 1)
    assert clause in broken(verdict)


@pytest.mark.slow
def test_a_model_of_fixed_extents_and_nameless_constants_is_asked_by_them(tmp_path: Path) -> None:
    """Its constants are known by their place at the node."""
    text = "t (float[2, 3, 4] input) => (float[2, 3, 4] output)\n<float[3] a = {1, 2, 3}, float[3] b = {0, 0, 0}, float[3] c = {0, 0, 0}, float[3] d = {1, 1, 1}>"
    file = written(tmp_path, 15, text + "{ output = BatchNormalization (input, a, b, c, d) }")
    verdict, status = judged(file, tmp_path / "run")
    assert (verdict.grade, status) == ("A", 0), broken(verdict)
    assert verdict.recognised.kernel.shape == (2, 3, 4)
    said = document(verdict)["kernel"]["replaced"]
    assert said == ["beta", "epsilon", "gamma", "momentum", "running_mean", "running_var"]


UNTOLD = {
    "a folded constant": (INFERENCE.replace(TAKES, "float[N, 3] x").replace("N, C, H, W", "N, 3") + "<float[3] a = {1, 2, 3}> { y = Mul (x, a) }", "holds 'a'"),
    "an input": (INFERENCE.replace("scale", "qqq") + "{ y = Mul (x, x) }", "takes 'qqq'"),
    "two outputs": (INFERENCE.replace("(float[N, C, H, W] y", "(float[N, C, H, W] y, float[N, C, H, W] q") + "{ y = Mul (x, x)\n q = Mul (x, x) }", "gives y, q"),
    "a momentum": (TRAINING + "{ y = Mul (x, x)\n running_mean = Mul (B, B)\n running_var = Mul (B, B) }", "does not say its momentum"),
    "an operator": (INFERENCE + "{ y = Nothing (x) }", "is no ONNX model"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_refused_and_not_guessed(name: str, tmp_path: Path) -> None:
    """With what to do."""
    text, words = UNTOLD[name]
    with pytest.raises(UsageError, match=words) as refused:
        judged(written(tmp_path, 15, text), tmp_path / "run")
    assert refused.value.fix


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"garbage", bytes(range(256)) * 3])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    """By the worker, whose messages have the parts of ours."""
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(UsageError, match="is no ONNX model") as refused:
        judge(JudgeRequest(str(tmp_path / "model.onnx"), 1, jobs=1, out=tmp_path / "run"), "bnspec judge", quiet=True)
    assert refused.value.why


def test_an_empty_file_a_folder_and_a_huge_file_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    """An empty file is a model to protobuf."""
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder.onnx").mkdir()
    with (tmp_path / "huge.onnx").open("wb") as huge:
        huge.truncate(65 << 20)
    for name, words in {
        "empty": "is empty",
        "folder": "is no file",
        "huge": "longer than 64 MiB",
        "none": "is no file",
    }.items():
        with pytest.raises(UsageError, match=words) as refused:
            recognise(str(tmp_path / f"{name}.onnx"))
        assert refused.value.why
        assert refused.value.fix


def test_without_its_runtime_the_evaluator_takes_it_and_without_both_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is the best that can be had."""
    recognised = recognise(str(written(tmp_path, 15, INFERENCE + NODE)))
    able = {"onnx"}

    def obtain(spec: object, report: object) -> None:
        if not able or "onnxruntime" in str(spec):
            raise NotBuilt("nothing is reached")

    monkeypatch.setattr(housing, "obtain", obtain)
    monkeypatch.setattr(housing, "installed", lambda text: False)
    entry: Entry = housing.housed(recognised).entry
    assert entry.environment is not None
    assert [r.partition(">")[0] for r in entry.environment.requirements] == ["onnx", "ml_dtypes"]
    able.clear()
    with pytest.raises(UsageError, match="cannot be judged here") as refused:
        housing.housed(recognised)
    assert refused.value.why == "nothing is reached."
    monkeypatch.setattr(housing, "installed", lambda text: True)
    assert housing.housed(recognised).entry.environment is None


def test_what_is_not_judged_has_no_grade(tmp_path: Path) -> None:
    """A function whose only form no case has."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text("def run(x, eps):\n    if x.ndim != 5:\n        raise ValueError('rank')\n    return x\n")
    with pytest.raises(UsageError, match="nothing that .* was judged") as refused:
        judged(kernel, tmp_path / "run")
    assert refused.value.why
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_model_of_half_precision_is_asked_its_own_form(tmp_path: Path) -> None:
    """Which few cases of every kernel have."""
    text = (INFERENCE + NODE).replace("N, C, H, W", "N, C, L").replace("float[N", "float16[N")
    request = JudgeRequest(str(written(tmp_path, 15, text)), 7, jobs=1, out=tmp_path / "run", time=False)
    verdict = judge(request, "bnspec judge", quiet=True)
    assert verdict.status == 0, broken(verdict)
    assert {f.clause for f in verdict.run.findings if f.cases} >= {"inference.output", "affine.per_channel"}


def test_open_extents_take_several_values_and_fixed_ones_stay() -> None:
    """Of a large form there are fewer cases, of one that is too large none."""
    kernel = completed(Kernel("onnx", "m", "main"), Found("it", [None, 3, None, None], "float32", ["epsilon"]))
    forms = fixed_forms(kernel, Conventions())
    assert {f.shape[1] for f in forms} == {3}
    assert len({f.shape for f in forms}) == len(forms) > 1
    cases = list(fixed_cases(forms, None, 3))
    assert len({c.id for c in cases}) == len(cases) > 100
    (large,) = fixed_forms(completed(kernel, Found("", [16, 3, 64, 64], "float32")), Conventions())
    assert len(list(fixed_cases([large], None, 3))) == 6
    with pytest.raises(UsageError, match="too large"):
        fixed_forms(completed(kernel, Found("", [LARGEST, 3, 1], "float32")), Conventions())


@pytest.mark.parametrize("said", [{"shape": [-1]}, {"shape": [1] * 9}, {"dtype": "complex64"}, {"run_by": 3}])
def test_what_a_worker_says_of_its_kernel_is_checked(said: object) -> None:
    """It shares its process with a stranger's code."""
    with pytest.raises(HarnessError, match="cannot be read"):
        found_of(json.loads(json.dumps({"kernel": said})))
