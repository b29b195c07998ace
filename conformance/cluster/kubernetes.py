"""A plan as Kubernetes indexed Jobs, in JSON, which ``kubectl apply -f`` takes: a Job for each need, and the merge.

All see one volume, of a claim that is there already; the plan's folder is copied to it under the plan's name. A pod knows its
number by ``JOB_COMPLETION_INDEX``, and reads its arguments from ``plan.json``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bnspec.conformance.cluster.plan import MERGED, PLAN, UNIT, Plan, Resources, Unit

#: Where a pod finds the volume.
VOLUME = "/bnspec"
#: The label of nodes that a unit's label is compared with.
LABEL = "bnspec.label"


@dataclass(frozen=True)
class Pods:
    """What the pods of a plan are made of: an image that has bnspec, its Python, and the claim of a volume that all share.

    ``name``: of the Jobs, and of the plan's folder on the volume.
    """

    name: str
    image: str
    claim: str
    python: str = "python3"


def manifests(plan: Plan, pods: Pods) -> dict[str, str]:
    """The files of a folder, by name."""
    groups = plan.groups()
    names = [f"units-{number}" for number in range(1, len(groups) + 1)]
    jobs = {name: _units(units, name, pods) for name, units in zip(names, groups)}
    jobs["merge"] = _job("merge", [MERGED, f"{VOLUME}/{pods.name}"], Resources(1), pods, {"backoffLimit": 0})
    submit = ["#!/bin/bash", "set -eu", 'cd -- "$(dirname -- "$0")"']
    submit += [f"kubectl apply -f {name}.json" for name in names]
    for name in names:  # a job that failed is said by the merge, which refuses what is not whole
        job = shlex.quote(f"job/{pods.name}-{name}")
        ended = f"kubectl get {job} -o 'jsonpath={{.status.conditions[*].type}}' | grep -qwE 'Complete|Failed'"
        submit += [f"until {ended}; do sleep 10; done"]
    submit += ["kubectl apply -f merge.json", ""]
    return {**{f"{n}.json": json.dumps(j, indent=1) + "\n" for n, j in jobs.items()}, "submit.sh": "\n".join(submit)}


def _units(units: Sequence[Unit], name: str, pods: Pods) -> dict[str, Any]:
    count = len(units)
    indexed = {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": count,
        "backoffLimitPerIndex": 3,
        "maxFailedIndexes": count,
    }
    return _job(
        name, [UNIT, f"{VOLUME}/{pods.name}/{PLAN}", "--first", str(units[0].number)], units[0].resources, pods, indexed
    )


def _job(name: str, words: Sequence[str], need: Resources, pods: Pods, more: dict[str, Any]) -> dict[str, Any]:
    amounts = {"cpu": str(need.cpus)}
    amounts |= {"memory": str(need.memory_bytes)} if need.memory_bytes else {}
    amounts |= {"nvidia.com/gpu": "1"} if need.gpus else {}
    command = [pods.python, "-P", "-m", *words]
    container = {
        "name": "unit",
        "image": pods.image,
        "command": [word.replace("$(", "$$(") for word in command],  # Kubernetes would put variables there
        "resources": {"requests": amounts, "limits": amounts},
        "volumeMounts": [{"name": "runs", "mountPath": VOLUME}],
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "runs", "persistentVolumeClaim": {"claimName": pods.claim}}],
    }
    if need.label:
        pod["nodeSelector"] = {LABEL: need.label}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{pods.name}-{name}"},
        "spec": {**more, "template": {"spec": pod}},
    }
