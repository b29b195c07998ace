"""Known deviations of forms of Keras' layer: under remat, and written with keras.ops."""

from __future__ import annotations

from bnspec.backends.harness.known.deviation import Known
from bnspec.backends.harness.known.predicates import (
    is_half,
    steps_before_backward,
    takes_integers,
    trains_on_one_value,
    trains_with_gradients,
)
from bnspec.backends.harness.known.recomputed import TWICE

FORMS: tuple[Known, ...] = (
    Known(
        title="A layer under remat steps again in the backward pass",
        backends="keras*remat",
        clauses=TWICE,
        where=trains_with_gradients,
        conditions="a backward pass in training mode",
        kind="bug",
        reason=(
            "keras.remat calls the layer once more in the backward pass, which moves the moving statistics a second time, on TensorFlow and "
            "on PyTorch."
        ),
        observed=(
            "momentum 0.5, x of mean 3: after keras.remat of the layer's call and its backward pass moving_mean is 2.25, without remat 1.5; on "
            "PyTorch, fit of a model made in RematScope(mode='full') leaves 2.625."
        ),
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="A step before the backward pass changes an inference under remat",
        backends="keras*remat",
        clauses=("gradient.of_its_own_forward_pass",),
        where=steps_before_backward,
        conditions="inference with gradients, then a training step, then the backward pass of the first",
        kind="bug",
        reason="the forward pass is computed again from the moving statistics as they are in the backward pass.",
        observed="The suite's case: dx is that of the statistics after the training step.",
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="batch_normalization of integers is an integer on TensorFlow",
        backends="keras.ops",
        clauses=("dtype.integers_become_floating",),
        where=takes_integers,
        conditions="keras.ops.batch_normalization of integers",
        kind="bug",
        reason="tf.nn.batch_normalization casts the scale and the shift to x's dtype before it multiplies; on other backends y is float32.",
        observed="uint8 100, 101, 103, mean 101, variance 4: 206 three times, in uint8; on JAX, PyTorch and NumPy -0.5, 0, 1.",
        link="https://github.com/keras-team/keras/issues/23708",
        reported=False,
        search="The report is of layer_normalization and rms_normalization.",
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="Moments of integers wrap on NumPy",
        backends="keras.ops.numpy",
        clauses=("dtype.integers_become_floating",),
        where=takes_integers,
        conditions="integers whose squares do not fit into their dtype, as uint8 from 16 on",
        kind="bug",
        reason="keras.ops.moments forms the mean of x^2 in the integer dtype, where it wraps.",
        observed="keras.ops.moments of uint8 100, 101, 103: variance -10153.1, exact 1.5556; of int32 on TensorFlow 101 and 1; on JAX right.",
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="y of bfloat16 is float32 on NumPy",
        backends="keras.ops.numpy",
        clauses=("dtype.results",),
        where=is_half,
        conditions="keras.ops.batch_normalization of bfloat16",
        kind="bug",
        reason="NumPy promotes bfloat16 and the Python number epsilon to float32; y has x's dtype on the other backends.",
        observed="x, mean and variance bfloat16: y is float32; of float16 it is float16.",
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="A Normalization with carried weights passes x through",
        backends="keras*.clone",
        clauses=(
            "input.constant_feature_is_finite",
            "input.constant_feature_keeps_its_unit",
            "input.inverse",
            "input.transform",
            "input.units_do_not_matter",
            "input.unseen_data",
            "dtype.half_is_as_exact_as_declared",
            "dtype.integers_become_floating",
        ),
        where=lambda case: case.subject == "input_norm",
        conditions="set_weights of an adapted layer's weights, as after clone_model; on TensorFlow, JAX and NumPy",
        kind="bug",
        reason=(
            "the call uses the arrays mean and variance, which only adapt and load_own_variables compute from the weights: set_weights changes "
            "the weights alone, without an error."
        ),
        observed=(
            "adapt to [[1], [3]], clone_model, set_weights(get_weights()): [[5]] becomes 3 by the layer and 5 by its clone, whose get_weights "
            "are mean 2 and variance 1; on PyTorch 3 by both."
        ),
        link="https://github.com/keras-team/keras/pull/20168",
        reported=False,
        search="The link is the change by which weights of legacy h5 files, which were not used either, are.",
        package="keras",
        versions=">=3.15,<3.16",
    ),
    Known(
        title="Moments over no axes are over all on PyTorch",
        backends="keras.ops.torch",
        clauses=("degenerate.count_one",),
        where=trains_on_one_value,
        conditions="keras.ops.moments with axes=[], as of one value per channel",
        kind="bug",
        reason="the empty list reaches torch.mean, where it means all axes; on TensorFlow, JAX and NumPy the moments are x and 0.",
        observed="keras.ops.moments([[1, 2], [3, 4]], axes=[]): mean [[2.5]] and variance [[1.25]]; on the others x itself, and zeros.",
        reported=False,
        package="keras",
        versions=">=3.15,<3.16",
    ),
)
