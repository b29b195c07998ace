"""``bnspec conventions``."""

from __future__ import annotations

import click

from bnspec.cli import CONFORMS, DEVIATES
from bnspec.options import JSON, command


@command(
    "conventions",
    summary="infer a backend's conventions; translate a layer to another backend",
    example="bnspec conventions torch.nn --to keras",
    params=[
        click.Argument(["backend"], help="A backend, or package.module:Class."),
        click.Option(["--device"], default="cpu", metavar="D", help="The device: cpu, cuda:0, ..."),
        click.Option(["--to"], metavar="OTHER", help="Translate a layer to this backend on the same device, and run both to prove it."),
        JSON,
    ],
)  # fmt: skip
def conventions(command_line: str, backend: str, device: str, to: str | None, as_json: bool) -> int:
    """Infer every convention of a backend by experiment and compare it with the adapter's declaration.

    With --to, print the exact translation of a layer to another backend, for inference and for further training, and run both
    layers on the same data. Exit status 1: a declaration differs, or the two layers differ by more than the sum of their bounds.
    """
    from bnspec.conformance.conventions.infer import one_target, profiled_with
    from bnspec.conformance.conventions.table import (
        print_profile,
        print_translation,
        profile_document,
        translation_document,
    )
    from bnspec.terminal.console import print_json, terminal

    source = one_target(backend, device)
    target = one_target(to, device) if to is not None else None
    profiled, translated = profiled_with(source, target)
    if as_json:
        document = profile_document(profiled)
        if translated is not None:
            document["translation"] = translation_document(translated)
        print_json(document)
    else:
        print_profile(profiled, terminal())
        if translated is not None:
            print_translation(profiled, translated, terminal())
    agrees = not profiled.inference.differences and (translated is None or translated.holds)
    return CONFORMS if agrees else DEVIATES
