"""The families of clauses, in the order of the specification: title, introduction and shared mathematics.

The mathematics is LaTeX, as ``docs/specification.md`` shows it. The formulas of the clauses are plain text, for terminals.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Title, introduction and mathematics shared by the clauses of one family.

    Attributes:
        name: the part of their ids before the dot.
        title, intro: a heading and a paragraph.
        mathematics: display formulas in LaTeX; empty where the statements suffice.
        equations: the file and functions that implement them.
    """

    name: str
    title: str
    intro: str
    mathematics: tuple[str, ...] = ()
    equations: str = ""


FAMILIES = (
    Family(
        "training",
        "Training statistics and normalisation",
        "In training, each channel is normalised by the mean and the variance of the batch itself. The variance is the population "
        "variance: its divisor is the count m of elements that belong to the channel, over all axes but the channel axis.",
        (
            r"\mu_B = \frac{1}{m} \sum_{i=1}^{m} x_i \qquad \sigma_B^2 = \frac{1}{m} \sum_{i=1}^{m} (x_i - \mu_B)^2",
            r"\hat z_i = \frac{x_i - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}} \qquad y_i = \gamma \hat z_i + \beta",
        ),
        "bnspec/equations/batch_norm.py: batch_statistics, normalise, training_forward",
    ),
    Family(
        "epsilon",
        "Epsilon",
        "Epsilon prevents division by zero. It stands inside the square root in both modes and nowhere else: the tracked "
        "variance excludes it. A backend may store it in a declared precision and raise it to a documented minimum.",
        (r"\mathrm{inv\_std} = \frac{1}{\sqrt{\sigma^2 + \epsilon}}",),
        "bnspec/equations/batch_norm.py: inv_std",
    ),
    Family(
        "affine",
        "Scale and shift",
        "gamma and beta are learned, one of each per channel. A layer may be built without them.",
        (r"y_c = \gamma_c \hat z_c + \beta_c",),
        "bnspec/equations/batch_norm.py: affine",
    ),
    Family(
        "running",
        "Running averages",
        "Training tracks the statistics that inference will use. decay is the weight that the old value keeps, whatever number a "
        "framework calls momentum. The tracked variance may be corrected by m / (m - c), c = 0 or 1, which the backend's "
        "conventions declare. Cumulative and debiased averages are also valid choices.",
        (
            r"\mu' = a \mu + (1 - a) \mu_B \qquad \sigma'^2 = a \sigma^2 + (1 - a) \frac{m}{m - c} \sigma_B^2",
            r"\mu_t = a^t \mu_0 + (1 - a) \sum_{k=1}^{t} a^{t-k} \mu_{B_k}",
        ),
        "bnspec/equations/batch_norm.py: running_mean_update, running_var_update; bnspec/equations/averages.py",
    ),
    Family(
        "inference",
        "Inference",
        "In inference the layer is a fixed elementwise map: deterministic, stateless and independent of the rest of the "
        "batch.",
        (r"y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta",),
        "bnspec/equations/batch_norm.py: inference_forward",
    ),
    Family(
        "gradient",
        "Gradients",
        "g is the cotangent dL/dy. In training, the mean and variance are functions of x, and dx includes the paths through both; in "
        "inference, or with frozen statistics, they are constants. The parameter gradients are the same sums in both modes, "
        "each with that mode's normalised value. The running update has no gradient.",
        (
            (
                r"\frac{\partial L}{\partial \beta} = \sum_i g_i \qquad "
                r"\frac{\partial L}{\partial \gamma} = \sum_i g_i \hat z_i"
            ),
            (
                r"\frac{\partial L}{\partial x_i} = \frac{\gamma}{\sqrt{\sigma_B^2 + \epsilon}} "
                r"\left( g_i - \overline{g} - \hat z_i \, \overline{g \hat z} \right) \qquad \text{(training)}"
            ),
            (
                r"\frac{\partial L}{\partial x_i} = \frac{\gamma \, g_i}{\sqrt{\sigma^2 + \epsilon}} "
                r"\qquad \text{(inference, frozen statistics)}"
            ),
        ),
        "bnspec/equations/batch_norm.py: training_dx, inference_dx, parameter_gradients",
    ),
    Family(
        "second_order",
        "Second order",
        "This family differentiates the inner product of dx with a direction v. P removes a vector's mean and its component along "
        "the normalised values; it is symmetric.",
        (
            (
                r"P v = v - \overline{v} - \hat z \, \overline{v \hat z} \qquad dx = \gamma s P g "
                r"\qquad s = \frac{1}{\sqrt{\sigma_B^2 + \epsilon}}"
            ),
            (
                r"\nabla_x \langle v, dx \rangle = - \gamma s^2 \left( \hat z \, \overline{v P g} "
                r"+ \overline{g \hat z} \, P v + \overline{v \hat z} \, P g \right)"
            ),
        ),
        "bnspec/equations/second_order.py",
    ),
    Family(
        "accuracy",
        "Accuracy",
        "Every order of summation is correct, and not every one is useful: the bounds of sums that grow slowly say how many digits "
        "a careful implementation keeps for these values.",
    ),
    Family(
        "degenerate",
        "Degenerate counts",
        "One value has no spread, and an empty set has no mean. The definition does not cover these cases; it remains that a "
        "layer must not silently corrupt its state.",
    ),
    Family(
        "special",
        "Special values",
        "NaN and infinity follow IEEE 754 and stay in their channel. Overflow must not pass as a valid result.",
    ),
    Family(
        "dtype",
        "Dtypes and mixed precision",
        "The precision of each part (storage, statistics, arithmetic, parameters) is a declared convention; the bounds follow it.",
    ),
    Family(
        "layout",
        "Layout, axes and strides",
        "An array is its values and its shape. The memory layout, the number of reduced axes and the division of work into "
        "blocks are not part of the definition.",
    ),
    Family(
        "purity",
        "Purity and aliasing",
        "A call reads its arguments, writes new results and, in training, the running statistics. It writes nothing else.",
    ),
    Family(
        "state",
        "State",
        "The running statistics are all that a layer remembers, plus a counter where its averages need one. Reading, saving "
        "and restoring them give exactly the values that the layer uses.",
    ),
    Family(
        "mask",
        "Masks",
        "Where a mask marks elements as padding, the batch consists of the remaining elements.",
        (
            (
                r"m = \sum_i w_i \qquad \mu_B = \frac{1}{m} \sum_i w_i x_i \qquad "
                r"\sigma_B^2 = \frac{1}{m} \sum_i w_i (x_i - \mu_B)^2 \qquad w_i \in \{0, 1\}"
            ),
        ),
        "bnspec/equations/masked.py",
    ),
    Family(
        "sharded",
        "Sharded batches",
        "With synchronised statistics, a batch spread over several devices is one batch: the results do not depend on the sharding.",
        (
            (
                r"m = \sum_j m_j \qquad \mu = \frac{1}{m} \sum_j m_j \mu_j \qquad "
                r"\sigma^2 = \frac{1}{m} \sum_j m_j \left( \sigma_j^2 + (\mu_j - \mu)^2 \right)"
            ),
        ),
        "bnspec/equations/sharded.py",
    ),
    Family(
        "contract",
        "Requirements on every call",
        "Every call terminates, accepts every supported case and returns results of the right shape.",
    ),
    Family(
        "errors",
        "Errors",
        "A call that cannot be computed raises an error; it never returns another result, aborts or reads out of bounds.",
        (),
        "bnspec/model/arguments.py",
    ),
    Family(
        "input",
        "Input normalization",
        "The same principle applied to the data before the first layer: the statistics of the whole training set are fitted in "
        "chunks, merged, and then applied unchanged to any data.",
        (
            r"x_j \leftarrow \frac{x_j - \mu_j}{\sigma_j}",
            (
                r"m = m_a + m_b \qquad \delta = \mu_b - \mu_a \qquad \mu = \mu_a + \delta \frac{m_b}{m} \qquad "
                r"S = S_a + S_b + \delta^2 \frac{m_a m_b}{m}"
            ),
        ),
        "bnspec/equations/input_normalization.py",
    ),
    Family(
        "placement",
        "Placement",
        "Linear -> BN -> activation is the usual order; activation -> BN also occurs. In training, the layer cancels any "
        "shift or scale of the preceding linear map; in inference, the two form one linear map.",
        (
            r"\mathrm{BN}(W x + b) = \mathrm{BN}(W x) \qquad \text{(training)}",
            (
                r"s = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \qquad W' = s W \qquad b' = s (b - \mu) + \beta "
                r"\qquad \text{(inference)}"
            ),
        ),
        "bnspec/equations/folding.py",
    ),
    Family(
        "layernorm",
        "Layer normalization",
        "Statistics of small batches are unreliable: their error falls only with the square root of m. Layer normalization "
        "takes the statistics of each sample over its features and depends on neither batch nor mode.",
        (
            r"y_{nj} = \gamma_j \frac{x_{nj} - \mu_n}{\sqrt{\sigma_n^2 + \epsilon}} + \beta_j",
            (
                r"dx_n = s_n \left( h_n - \overline{h_n} - \hat z_n \, \overline{h_n \hat z_n} \right) "
                r"\qquad h_{nj} = \gamma_j g_{nj}"
            ),
        ),
        "bnspec/equations/layer_norm.py",
    ),
)
