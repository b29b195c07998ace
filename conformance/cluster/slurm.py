"""A plan as Slurm job arrays: an array for each need, the merge as a job after them, and a script that submits all.

Nothing of a unit stands in a script: a task is named by its number, and its arguments are read from ``plan.json``.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from bnspec.conformance.cluster.plan import MERGED, PLAN, UNIT, Plan, Unit
from bnspec.reports.run.files import resolved


def scripts(plan: Plan, folder: Path, python: str) -> dict[str, str]:
    """The files of a folder, by name. ``python``: that of a unit, which has bnspec."""
    file = resolved(folder) / PLAN
    groups = plan.groups()
    names = [f"units-{number}.sbatch" for number in range(1, len(groups) + 1)]
    made = {name: _array(units, file, python) for name, units in zip(names, groups)}
    made["merge.sbatch"] = "\n".join(
        [
            "#!/bin/bash",
            "#SBATCH --job-name=bnspec-merge",
            "#SBATCH --cpus-per-task=1",
            *_call(python, MERGED, file.parent),
        ]
    )
    submit = ["#!/bin/bash", "set -eu", f"cd -- {shlex.quote(str(resolved(folder)))}", "ids="]
    submit += [f"id=$(sbatch --parsable {name}); ids=$ids:${{id%%;*}}" for name in names]
    # afterany: a unit that failed is said by the merge, which refuses what is not whole
    submit += ['sbatch --dependency="afterany$ids" merge.sbatch', ""]
    return {**made, "submit.sh": "\n".join(submit)}


def _array(units: Sequence[Unit], file: Path, python: str) -> str:
    need = units[0].resources
    options = [
        "job-name=bnspec",
        f"array={units[0].number}-{units[-1].number}",
        f"cpus-per-task={need.cpus}",
        "requeue",
    ]
    options += ["gpus-per-task=1", "ntasks=1"] if need.gpus else []
    options += [f"mem={-(-need.memory_bytes // 2**20)}M"] if need.memory_bytes else []
    options += [f"constraint={need.label}"] if need.label else []
    return "\n".join(
        ["#!/bin/bash", *(f"#SBATCH --{o}" for o in options), *_call(python, UNIT, file, ' "$SLURM_ARRAY_TASK_ID"')]
    )


def _call(python: str, module: str, file: Path, which: str = "") -> list[str]:
    return ["", f"exec {shlex.join([python, '-P', '-m', module, str(file)])}{which}", ""]
