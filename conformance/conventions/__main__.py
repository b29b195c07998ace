"""``python -m bnspec.conformance.conventions [BACKEND..]``: docs/translations.json and the page beside it, of these backends or of all.

Hours for all backends in all environments; those of one environment take minutes.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from bnspec.backends.harness.environments.prepare import prepare, specs_of
from bnspec.backends.harness.targets import targets_of
from bnspec.clauses import VERSION
from bnspec.conformance.conventions.any_two import any_two
from bnspec.errors import BnspecError
from bnspec.reports.run.store import write_atomically
from bnspec.reports.translations.page import page
from bnspec.reports.translations.record import encode
from bnspec.terminal.console import terminal, verbatim
from bnspec.terminal.progress import Progress

RECORD = Path("docs/translations.json")
PAGE = RECORD.with_suffix(".md")


def main(words: Sequence[str]) -> int:
    """Infer, translate, prove, write. Returns the exit status: 1 where a pair fails."""
    targets = targets_of(words, ["cpu"])
    with Progress(False) as progress:
        prepare(specs_of([t.entry for t in targets]), progress)
    found = any_two(
        targets,
        VERSION,
        datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        lambda said: verbatim(terminal(), said),
    )
    write_atomically(RECORD, encode(found))
    write_atomically(PAGE, page(found))
    return int(any("fails" in (p.inference.how, p.training.how) for of in found.pairs.values() for p in of.values()))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BnspecError as error:
        verbatim(terminal(stderr=True), f"translations: {error}")
        sys.exit(error.exit_status)
