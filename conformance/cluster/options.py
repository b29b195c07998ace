"""The options of a run on several machines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from bnspec.options import Number
from bnspec.printable import quoted

#: This machine, a cluster from outside by its client port, or the cluster that this machine belongs to.
ENGINE = re.compile(r"ray|ray://[A-Za-z0-9_.\[\]:-]+:\d+|ray:auto|ray:[A-Za-z0-9_.\[\]:-]+:\d+")
#: Of a Job or a claim in Kubernetes, with room for what is added to it.
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


class Form(click.ParamType[str]):
    """A word of a form; ``said``: the form, for a person."""

    def __init__(self, name: str, form: re.Pattern[str], said: str) -> None:
        self.name, self.form, self.said = name, form, said

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word. Fails: it has another form."""
        if not self.form.fullmatch(value):
            self.fail(f"{quoted(str(value))} is not {self.said}", param, ctx)
        return str(value)


SHARDS = click.Option(
    ["--shards"],
    type=Number(1, 10_000),
    metavar="N",
    help="Units of each target: every N-th case is one's.",
    show_default="4",
)
LABELLED = click.Option(
    ["--label"],
    type=Form("label", LABEL, "a label of letters, digits, - and _"),
    metavar="NAME",
    help="Only machines with this label run units: a resource of Ray, a feature of Slurm, the node label bnspec.label.",
)
ON = click.Option(
    ["--on"],
    type=Form("engine", ENGINE, "ray, ray://HOST:PORT, ray:HOST:PORT or ray:auto"),
    metavar="ENGINE",
    help="Run as units on Ray: ray (this machine), ray://HOST:PORT (a cluster's client port), ray:auto (this machine's cluster).",
)
UNIT_PYTHON = click.Option(
    ["--unit-python"],
    metavar="PATH",
    help="The Python of units, with bnspec and the frameworks.",
    show_default="the one that runs there",
)
RUNTIME_ENV = click.Option(
    ["--runtime-env"], type=Path, metavar="FILE", help="With --on: a runtime environment of Ray, as JSON."
)
#: Of ``bnspec verify``.
CLUSTER = (ON, SHARDS, LABELLED, UNIT_PYTHON, RUNTIME_ENV)
