"""Second order: the gradient of the gradient."""

from bnspec.clauses.clause import asked_too

CLAUSES = (
    asked_too(
        "second_order.training",
        "SHOULD",
        "In training, second derivatives take mean and variance as functions of x, wherever dx contains them.",
        "d<v, dx>/dx = -gamma * inv_std^2 * (zhat * Q + mean(dy * zhat) * P v + mean(v * zhat) * P dy),   Q = mean(v * P dy)",
        "Gradient penalties and implicit layers need them; statistics that were saved as constants are right to first order only.",
        "the chain rule on Ioffe and Szegedy 2015, section 3",
        (),
        ("pytorch/pytorch#186256", "pytorch/pytorch#2264"),
    ),
    asked_too(
        "second_order.cotangent_and_scale",
        "SHOULD",
        "In training, the derivatives of dx by dy and by gamma follow from its being linear in both.",
        "d<v, dx>/d(dy) = gamma * inv_std * P v,   d<v, dx>/dgamma = inv_std * sum(v * P dy)",
        "A double-backward kernel has three results; the two easy ones are the ones that nobody tests.",
        "the chain rule on Ioffe and Szegedy 2015, section 3",
        (),
        ("pytorch/pytorch#186256",),
    ),
    asked_too(
        "second_order.inference",
        "SHOULD",
        "In inference dx does not depend on x, and its derivatives by dy and gamma are those of a product.",
        "d<v, dx>/dx = 0,   d<v, dx>/d(dy) = gamma * inv_std * v,   d<v, dx>/dgamma = inv_std * sum(v * dy)",
        "Double-backward code written for training has been called with statistics that are constants.",
        "the chain rule on Ioffe and Szegedy 2015, section 3.1",
        (),
        ("pytorch/pytorch#2278", "PaddlePaddle/Paddle#27549"),
    ),
)
