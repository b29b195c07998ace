"""Input normalization: statistics of the training set, applied unchanged to any data."""

from bnspec.clauses.clause import CHAN, Clause

LECUN = "LeCun, Bottou, Orr and Mueller 1998, Efficient BackProp, 4.3"

CLAUSES = (
    Clause(
        "input.fit",
        "MUST",
        "The fitted statistics are the mean and the population variance of the whole training set.",
        "mean = (1/m) sum x,   var = (1/m) sum (x - mean)^2",
        "They are the layer's only parameters.",
        LECUN,
        (),
        ("speechbrain/speechbrain#2835",),
    ),
    Clause(
        "input.fit_is_stable",
        "SHOULD",
        "The errors of the fitted statistics grow at most linearly with |mean| / std.",
        "|error| <= bound of a stable algorithm",
        "Raw features have large means: years, prices, Kelvin.",
        CHAN,
        (),
        ("openai/baselines#392", "scikit-learn/scikit-learn#5602"),
    ),
    Clause(
        "input.chunks_do_not_matter",
        "MUST",
        "Any chunking of the training set gives the same statistics, within the bound.",
        "fit(x_1, ..., x_k) = fit(x_1 + ... + x_k)",
        "Averaging the chunks' variances forgets the spread between chunks; equal weights forget their sizes.",
        CHAN,
        (),
        ("akanazawa/fpo#13", "younggyoseo/FastTD3#32", "vwxyzjn/cleanrl#18"),
    ),
    Clause(
        "input.transform",
        "MUST",
        "Data are normalised by the fitted statistics, whatever their own are.",
        "y = (x - mean) / sqrt(var)",
        "Refitting on new data, or a broadcast along the wrong axis, changes the meaning of every feature.",
        LECUN,
        ("input_epsilon",),
        ("keras-team/keras#20624",),
    ),
    Clause(
        "input.inverse",
        "MUST",
        "The inverse undoes the transform.",
        "x = y * sqrt(var) + mean",
        "(y + mean) * std is the usual slip.",
        LECUN,
        ("input_epsilon",),
        ("keras-team/keras#17047",),
    ),
    Clause(
        "input.constant_feature_is_finite",
        "SHOULD",
        "A feature that is constant in the training set stays finite, for the training value and for unseen ones.",
        "var_j = 0   =>   transform finite, and 0 at the training value",
        "Division by 0, or by rounding noise, turns a dead feature into the loudest one.",
        "scikit-learn, StandardScaler: zero variance is scaled by 1",
        ("input_epsilon",),
        ("scikit-learn/scikit-learn#19527", "elixir-nx/scholar#363"),
    ),
    Clause(
        "input.keeps_statistics",
        "MUST",
        "Transform and inverse leave the fitted statistics unchanged: the same data give the same bits again.",
        "transform(x)_1 = transform(x)_2   bitwise",
        "A layer that goes on adapting leaks test data.",
        LECUN,
    ),
)
