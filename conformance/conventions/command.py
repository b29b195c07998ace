"""``bnspec conventions``: the conventions of a backend, inferred; and its translation to another one, proved."""

from __future__ import annotations

import argparse
from pathlib import Path

from bnspec.cli import CONFORMS, DEVIATES, Command


def _configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("backend", metavar="BACKEND", help="a backend, or package.module:Class")
    add("--device", default="cpu", metavar="D", help="cpu, cuda:0, ... (default: cpu)")
    add("--to", metavar="OTHER", help="another backend, on the same device: what to hand it, proved by running both")
    add("--out", type=Path, metavar="DIR", help="run directory to write (default: runs/<id>)")
    add("--json", action="store_true", help="print one JSON document instead of the tables")


def _run(arguments: argparse.Namespace) -> int:
    # imported here, so that --help does not wait for them
    import json
    import time

    from bnspec.conformance.conventions.infer import one_target, profiled_with
    from bnspec.conformance.conventions.records import write_conventions
    from bnspec.conformance.conventions.table import (
        print_profile,
        print_translation,
        profile_document,
        translation_document,
    )
    from bnspec.reports.run.store import refuse_occupied
    from bnspec.reports.tables.run import terminal

    refuse_occupied(arguments.out)
    started = time.perf_counter()
    source = one_target(arguments.backend, arguments.device)
    target = one_target(arguments.to, arguments.device) if arguments.to is not None else None
    profiled, translated = profiled_with(source, target)
    agrees = not profiled.inference.differences and (translated is None or translated.holds)
    status, seconds = CONFORMS if agrees else DEVIATES, round(time.perf_counter() - started, 1)
    path = write_conventions(profiled, translated, arguments.out, arguments.command_line, status, seconds)
    if arguments.json:
        document = profile_document(profiled)
        if translated is not None:
            document["translation"] = translation_document(translated)
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        print_profile(profiled, terminal())
        if translated is not None:
            print_translation(profiled, translated, terminal())
        terminal().print(f"\n{path}", highlight=False, markup=False, soft_wrap=True)
    return status


CONVENTIONS = Command(
    help="Infer every convention of a backend by experiment and compare it with what its adapter declares: exit status 1 "
    "where they differ. With --to, print the exact translation of a layer to another backend, for inference and for "
    "training, and run both on the same data: exit status 1 also where they are further apart than both bounds.",
    example="bnspec conventions torch.nn --to keras",
    configure=_configure,
    run=_run,
)
