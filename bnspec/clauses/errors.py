"""Errors: what is refused, and how."""

from bnspec.clauses.clause import CONTRACT, asked_too, specified

CLAUSES = (
    asked_too(
        "errors.malformed_parameters",
        "MUST",
        "gamma, beta and statistics that do not have one value per channel are refused.",
        "shape(gamma) != (C,)   =>   an error, before anything is computed",
        "Read by count of elements alone, or not checked, they are read past their end or broadcast over the wrong axis.",
        "bnspec/model/arguments.py",
        ("checks_arguments",),
        ("pytorch/pytorch#190079", "pytorch/pytorch#194798"),
    ),
    asked_too(
        "errors.malformed_data",
        "MUST",
        "x without a channel axis or without an axis to reduce, and dy of another shape than x, are refused.",
        "rank(x) < 2,  channel_axis outside x,  or  shape(dy) != shape(x)   =>   an error",
        "An abort takes the caller's process with it.",
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
        "The message of a refusal names the argument, its shape, and the one that is expected.",
        "message contains the name, the shape found and the shape wanted",
        "An error deep inside a kernel's launch says nothing about the layer that was called wrongly.",
        "bnspec/model/arguments.py",
    ),
    asked_too(
        "errors.leave_the_state",
        "SHOULD",
        "A call that is refused leaves the state as it was.",
        "raises   =>   state' = state",
        "A counter or mean that moved before the check makes a caught error a silent one.",
        CONTRACT,
        ("count_one",),
    ),
)
