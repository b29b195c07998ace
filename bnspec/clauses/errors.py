"""Clauses on errors: which calls raise, and how."""

from bnspec.clauses.clause import CONTRACT, Clause, specified, verified_on_both

CLAUSES = (
    verified_on_both(
        "errors.malformed_parameters",
        "MUST",
        "gamma, beta or statistics that do not have one value per channel raise an error.",
        "shape(gamma) != (C,)   =>   an error, before anything is computed",
        "Unchecked, or checked by element count alone, they are read out of bounds or broadcast over the wrong axis.",
        "bnspec/model/arguments.py",
        ("checks_arguments",),
        ("pytorch/pytorch#190079", "pytorch/pytorch#194798"),
    ),
    verified_on_both(
        "errors.malformed_data",
        "MUST",
        "x without a channel axis or without an axis to reduce raises an error, and so does dy whose shape differs from x.",
        "rank(x) < 2,  channel_axis outside x,  or  shape(dy) != shape(x)   =>   an error",
        "An abort kills the caller's process.",
        "bnspec/model/arguments.py",
        (
            "checks_arguments",
            "ranks",
        ),
        ("pytorch/pytorch#186238",),
    ),
    specified(
        "errors.name_the_argument",
        "SHOULD",
        "The error message names the argument, its shape and the expected shape.",
        "message contains the name, the shape found and the shape wanted",
        "An error from deep inside a kernel launch does not point to the layer call that caused it.",
        "bnspec/model/arguments.py",
    ),
    verified_on_both(
        "errors.leave_the_state",
        "SHOULD",
        "A call that raises leaves the state unchanged.",
        "raises   =>   state' = state",
        "If a counter or mean moves before the check, an error that the caller catches still corrupts the state.",
        CONTRACT,
        ("count_one",),
    ),
    Clause(
        "errors.continue_as_if_not_called",
        "SHOULD",
        "After a call that raises for its x, the layer continues as if it had not been called.",
        "raises   =>   later results = those of a layer with the same history without that call",
        "A mode, a counter or a buffer that is set before the check, and set back only at the end, is what the next call finds.",
        CONTRACT,
        since="1.1",
    ),
)
