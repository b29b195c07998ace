"""``bnspec conventions``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bnspec.cli import CONFORMS, DEVIATES
from bnspec.options import JSON, RUN_DIRECTORY, command


@command(
    "conventions",
    summary="infer a backend's conventions; translate a layer to another backend",
    example="bnspec conventions torch.nn --to keras",
    params=[
        click.Argument(["backend"], help="A backend, or package.module:Class."),
        click.Option(["--device"], default="cpu", metavar="D", help="The device: cpu, cuda:0, ..."),
        click.Option(["--to"], metavar="OTHER", help="Translate a layer to this backend on the same device, and run both to prove it."),
        RUN_DIRECTORY,
        JSON,
    ],
)  # fmt: skip
def conventions(command_line: str, backend: str, device: str, to: str | None, out: Path | None, as_json: bool) -> int:
    """Infer every convention of a backend by experiment and compare it with the adapter's declaration.

    With --to, print the exact translation of a layer to another backend, for inference and for further training, and run both
    layers on the same data. Exit status 1: a declaration differs, or the two layers differ by more than the sum of their bounds.
    """
    from bnspec.backends.harness.interruption import stoppable
    from bnspec.conformance.conventions.document import conventions_document, translation_document
    from bnspec.conformance.conventions.infer import infer_conventions_with_translation, one_target
    from bnspec.conformance.conventions.records import write_conventions
    from bnspec.conformance.conventions.table import print_conventions, print_translation
    from bnspec.reports.run.store import refuse_occupied
    from bnspec.terminal.console import print_json, terminal, verbatim

    refuse_occupied(out)
    started = time.perf_counter()
    source = one_target(backend, device)
    target = one_target(to, device) if to is not None else None
    with stoppable():
        inferred, translated = infer_conventions_with_translation(source, target)
    agrees = not inferred.inference.differences and (translated is None or translated.holds)
    status, seconds = CONFORMS if agrees else DEVIATES, round(time.perf_counter() - started, 1)
    path = write_conventions(inferred, translated, out, command_line, status, seconds)
    if as_json:
        document = conventions_document(inferred)
        if translated is not None:
            document["translation"] = translation_document(translated)
        print_json(document)
    else:
        print_conventions(inferred, terminal())
        if translated is not None:
            print_translation(inferred, translated, terminal())
        verbatim(terminal(), f"\n{path}")
    return status
