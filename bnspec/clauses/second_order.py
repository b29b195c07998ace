"""Second-order clauses: derivatives of dx."""

from bnspec.clauses.clause import verified_on_both

CLAUSES = (
    verified_on_both(
        "second_order.training",
        "SHOULD",
        "In training, second derivatives treat the mean and variance as functions of x wherever dx contains them.",
        "d<v, dx>/dx = -gamma * inv_std^2 * (zhat * Q + mean(dy * zhat) * P v + mean(v * zhat) * P dy),   Q = mean(v * P dy)",
        "Gradient penalties and implicit layers need them; statistics saved as constants are correct only to first order.",
        "the chain rule on Ioffe and Szegedy 2015, section 3",
        ("normalising_correction",),
        ("pytorch/pytorch#186256", "pytorch/pytorch#2264"),
    ),
    verified_on_both(
        "second_order.gradient_of_the_tangent",
        "SHOULD",
        "In training, the gradient of the tangent along v is the second derivative: reverse mode over forward mode treats the mean and "
        "variance as functions of x, too.",
        "d<dy, (dy/dx) v>/dx = d<v, dx>/dx",
        "A rule for forward mode that reads saved statistics is differentiated as if they were constants.",
        "the symmetry of second derivatives",
        ("normalising_correction",),
        ("pytorch/pytorch#196699",),
        since="1.5",
    ),
    verified_on_both(
        "second_order.third_derivative",
        "SHOULD",
        "In training, a third derivative by x treats the mean and variance as functions of x, as the second one does.",
        "d^2/dt^2 <dy, y(x + t v)> = gamma * (A * (3 * P^2 - R) - 2 * B * P),   third = its gradient by x",
        "A double-backward kernel that is given saved statistics is differentiated as if they were constants.",
        "the chain rule on Ioffe and Szegedy 2015, section 3",
        ("normalising_correction",),
        ("pytorch/pytorch#186256",),
        since="1.4",
    ),
    verified_on_both(
        "second_order.cotangent_and_scale",
        "SHOULD",
        "In training, the derivatives of dx with respect to dy and gamma follow from its linearity in both.",
        "d<v, dx>/d(dy) = gamma * inv_std * P v,   d<v, dx>/dgamma = inv_std * sum(v * P dy)",
        "A double-backward kernel has three results; nobody tests the two easy ones.",
        "the chain rule on Ioffe and Szegedy 2015, section 3",
        ("normalising_correction",),
        ("pytorch/pytorch#186256",),
    ),
    verified_on_both(
        "second_order.inference",
        "SHOULD",
        "In inference, dx does not depend on x, and its derivatives with respect to dy and gamma are those of a product.",
        "d<v, dx>/dx = 0,   d<v, dx>/d(dy) = gamma * inv_std * v,   d<v, dx>/dgamma = inv_std * sum(v * dy)",
        "Double-backward code written for training has been called with constant statistics.",
        "the chain rule on Ioffe and Szegedy 2015, section 3.1",
        (),
        ("pytorch/pytorch#2278", "PaddlePaddle/Paddle#27549"),
    ),
)
