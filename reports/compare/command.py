"""``bnspec compare``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.options import JSON, command, many


@command(
    "compare",
    summary="what changed between two runs, or between two targets of runs",
    example="bnspec compare runs/before runs/after --fail-on must --fail-on slower:1.2\n"
    "bnspec compare 'runs/releases:jax.numpy[jax==0.4.20]@cpu' 'runs/releases:jax.numpy[jax==0.6.2]@cpu'",
    params=[
        click.Argument(["before"], metavar="RUN[:TARGET]", help="The run before, or some of its targets; alone, each release in it with the next."),
        click.Argument(["after"], metavar="RUN[:TARGET]", required=False, help="The run after."),
        many("--fail-on", metavar="POLICY", help="Exit with status 1 on a regression: must, should, bits, slower:FACTOR. Repeatable.", all="must"),
        click.Option(["--markdown", "as_markdown"], is_flag=True, help="Print Markdown, for a pull request."),
        JSON,
    ],
)  # fmt: skip
def compare(
    command_line: str,
    before: str,
    after: str | None,
    fail_on: Sequence[str],
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Print what changed: verdicts, conventions, stability classes, errors, bits and times.

    TARGET is BACKEND, BACKEND@DEVICE or a glob. Targets of two runs are paired by name, else by the name before the brackets and
    the device. Verdicts are compared case by case, bits on equal machines only. A time that moved is real, machine (the NumPy
    row moved as well) or noise.

    Exit status 0: no regression; 1: one by --fail-on; 3: nothing was compared that --fail-on speaks of.
    """
    from bnspec.errors import UsageError
    from bnspec.reports.compare.comparison import compare_operands, compare_successive
    from bnspec.reports.compare.document import comparison_document
    from bnspec.reports.compare.markdown import markdown
    from bnspec.reports.compare.operands import read_operand
    from bnspec.reports.compare.policy import idle, read_policies, regressions
    from bnspec.reports.compare.table import print_comparison
    from bnspec.terminal.console import print_json, terminal

    if as_markdown and as_json:
        raise UsageError(
            "--markdown and --json are both given.", "one call prints one document.", "leave one of them out."
        )
    policies = read_policies(fail_on)
    operand = read_operand(before)
    found = compare_successive(operand) if after is None else compare_operands(operand, read_operand(after))
    if as_json:
        print_json(comparison_document(found, policies))
    elif as_markdown:
        sys.stdout.write(markdown(found, policies))
    else:
        print_comparison(found, policies, terminal())
    if regressions(found, policies):
        return DEVIATES
    return FAILED if idle(found, policies) else CONFORMS
