"""``python -m bnspec.conformance.selftest.false_alarms [SEEDS]``: tests and alarms on all correct variants; exit status 1 after one."""

from __future__ import annotations

import sys

from bnspec.conformance.checks.error_statistics import ALPHA
from bnspec.conformance.selftest.catalogue.catalogue import VARIANTS
from bnspec.conformance.selftest.false_alarms.measure import Count, measured
from bnspec.terminal.console import line, terminal


def main(arguments: list[str]) -> int:
    """Show a line for each seed."""
    seeds, console, total = int(arguments[0]) if arguments else 5, terminal(), Count()
    for done, total in measured(VARIANTS, seeds):
        line(console, f"{done} seeds: {total.tests} tests, {total.distinct} distinct, {total.alarms} alarms")
    line(console, f"alarm rate at most {total.upper_limit:.1e} with 95 % confidence; each test is made at {ALPHA:g}")
    line(console, f"{total.beyond / max(total.distinct, 1):.2%} are off by more than 1 % admits by chance")
    line(console, f"closest: {total.closest[0]:.2f} of the limit, {total.closest[1]}")
    return 1 if total.alarms else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
