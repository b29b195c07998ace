"""``mindspore.nn``: the cells BatchNorm1d, BatchNorm2d and BatchNorm3d on the CPU, in PyNative mode.

    mindspore.recompute   the same after their method recompute, by which they run again in the backward pass
    mindspore.ops.saved   the outputs batch_mean and batch_variance of the operation BatchNorm in training, of tables

Source: https://www.mindspore.cn/docs/en/master/api_python/nn/mindspore.nn.BatchNorm2d.html and
https://www.mindspore.cn/docs/en/master/api_python/ops/mindspore.ops.BatchNorm.html
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.backends.worker.scaler_rows import ScalerAdapter, TableScaler
from bnspec.contract import Adapter, Conventions, Declined, Gradients, LayerConfig, SecondOrder, State
from bnspec.model.call import Mode

CELLS = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}


class MindSporeNN(Adapter):
    """Cells whose parameters are set to the case's. Without affine they are there, and are not trained."""

    framework = "mindspore"
    conventions = Conventions(
        running_correction=1,
        momentum_weighs="old",
        default_epsilon=1e-5,
        default_decay=0.9,
        epsilon_dtype="float32",
        decay_dtype="float32",
        count_one="unspecified",
        half_arithmetic="parameters",
        dtypes=("float32", "float16"),
        half_parameters=("float32", "input"),
        ranks=(2, 3, 4, 5),
        channel_axes="first",
        layouts="normalised",
        mutable_tensors=False,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        os.environ.setdefault("GLOG_v", "3")  # no warnings on standard error
        import mindspore

        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
        mindspore.set_device("CPU")
        self.mindspore = mindspore

    def versions(self) -> Dict[str, str]:
        """MindSpore's version."""
        return {"mindspore": str(self.mindspore.__version__)}

    def tensor(self, array: np.ndarray) -> Any:
        """A packed copy of the array."""
        return self.mindspore.Tensor(array.copy(order="C"))

    def array(self, tensor: Any) -> np.ndarray:
        """A copy of the values."""
        return np.array(tensor.asnumpy())

    def extent(self, tensor: Any) -> Optional[Tuple[int, int]]:
        """None: ``array`` copies, so that addresses are not known."""
        return None

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> CellLayer:
        """The cell of x's rank with these values."""
        new = self.new_layer(config)
        given = {"gamma": gamma, "beta": beta, "moving_mean": running_mean, "moving_variance": running_var}
        for name, value in given.items():
            if value is not None:
                new.parameter(name).set_data(value)
        return new

    def new_layer(self, config: LayerConfig) -> CellLayer:
        """The cell of x's rank, as constructed."""
        if not 0.0 < config.epsilon <= 1.0:
            raise Declined("the primitive BatchNorm asks for an epsilon above 0 and at most 1")
        return CellLayer(self.mindspore, config)


class CellLayer(LayerByMode):
    """One cell, which holds its own state."""

    def __init__(self, mindspore: Any, config: LayerConfig) -> None:
        self.mindspore, self.config = mindspore, config
        self.cell = getattr(mindspore.nn, CELLS[config.rank])(
            config.channels,
            eps=config.epsilon,
            momentum=config.decay,
            affine=config.affine,
            dtype=getattr(mindspore, config.parameter_dtype),
        )

    def parameter(self, name: str) -> Any:
        """A parameter of the cell; BatchNorm3d keeps them in a cell of its own."""
        return getattr(getattr(self.cell, "bn2d", self.cell), name)

    def parameters(self) -> List[Any]:
        """gamma and beta; empty without affine."""
        return [self.parameter("gamma"), self.parameter("beta")] if self.config.affine else []

    def training(self, x: Any) -> Any:
        """The cell's call in set_train(True)."""
        return self.cell.set_train(True)(x)

    def inference(self, x: Any) -> Any:
        """The cell's call in set_train(False)."""
        return self.cell.set_train(False)(x)

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """``mindspore.vjp`` by x, gamma and beta."""
        y, pullback = self.recorded(x, mode)
        return self.pulled(y, pullback, dy)

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """The pullback of ``mindspore.vjp`` after a training step."""
        y, pullback = self.recorded(x, mode)
        self.training(other)
        return self.pulled(y, pullback, dy)

    def recorded(self, x: Any, mode: Mode) -> Tuple[Any, Any]:
        """y and its pullback."""
        cell = self.cell.set_train(mode == "training")
        return self.mindspore.vjp(cell, x, weights=self.parameters() or None)

    def pulled(self, y: Any, pullback: Any, dy: Any) -> Gradients:
        """The gradients that the pullback gives."""
        found = pullback(dy)
        (dx,), weights = found if self.config.affine else (found, (None, None))
        return Gradients(y, dx, *weights)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined: what BatchNormGradGrad gives depends on what the process computed before."""
        raise Declined(
            "the primitive BatchNormGradGrad reads memory that nothing wrote: values at random, or an error later"
        )

    def state(self) -> State:
        """The cell's statistics."""
        return State(self.parameter("moving_mean"), self.parameter("moving_variance"))

    def restored(self) -> CellLayer:
        """A new cell that loads a checkpoint."""
        new = CellLayer(self.mindspore, self.config)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "layer.ckpt")
            self.mindspore.save_checkpoint(self.cell, path)
            left_out, _ = self.mindspore.load_param_into_net(new.cell, self.mindspore.load_checkpoint(path))
        if left_out:
            raise ValueError("the checkpoint lacks " + ", ".join(left_out))
        return new


class MindSporeRecompute(MindSporeNN):
    """Cells whose activations are recomputed."""

    def new_layer(self, config: LayerConfig) -> CellLayer:
        """The cell of x's rank, as constructed."""
        layer = super().new_layer(config)
        layer.cell.recompute()
        return layer


class MindSporeSaved(ScalerAdapter):
    """The operation over the rows of a table."""

    framework = "mindspore"
    conventions = Conventions(dtypes=("float32",), input_normalization=True)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.mindspore = MindSporeNN(device).mindspore

    def versions(self) -> Dict[str, str]:
        """MindSpore's version."""
        return {"mindspore": str(self.mindspore.__version__)}

    def scaler(self, config: LayerConfig) -> SavedScaler:
        """What the operation says of a table."""
        return SavedScaler(config, self.mindspore)


class SavedScaler(TableScaler):
    """The mean and the variance that the operation has computed."""

    def __init__(self, config: LayerConfig, mindspore: Any) -> None:
        super().__init__(config)
        self.mindspore, self.saved = mindspore, State(None, None)

    def fit_rows(self, tables: Sequence[Any]) -> None:
        """The operation in training. Raises ValueError: the table has no rows."""
        tensor, table = self.mindspore.Tensor, np.concatenate(tables)
        if not len(table):
            raise ValueError("the table has no rows")
        one, none = np.ones(self.config.channels, table.dtype), np.zeros(self.config.channels, table.dtype)
        operation = self.mindspore.ops.BatchNorm(is_training=True)
        _, mean, variance, *_ = operation(*(tensor(a) for a in (table, one, none, none, one)))
        self.saved = State(mean.asnumpy(), variance.asnumpy())

    def transform_rows(self, table: Any) -> Any:
        """Raises Declined."""
        raise Declined("the operation's statistics are what is asked for")

    def statistics(self) -> State:
        """The outputs batch_mean and batch_variance."""
        return self.saved
