"""A Ray of three nodes of one core on this machine, and a verify call on it: a node is killed when the first unit has come back.

    python lost_node.py LOST verify --backend numpy ... --out runs/mine

``--on`` is added. LOST: how many nodes are killed. Prints the exit status and the nodes that are left as JSON; what bnspec says
on standard error is passed on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from ray.cluster_utils import Cluster


def main(lost: int, words: list[str]) -> dict[str, int]:
    """Run it; returns what is printed."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    call = [sys.executable, "-m", "bnspec", *words, "--on", f"ray:{cluster.address}"]
    killed = 0
    with subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            if ": done" in line and killed < lost:
                time.sleep(5)  # the node whose unit came back has begun another
                cluster.remove_node(nodes[killed], allow_graceful=False)
                killed += 1
                sys.stderr.write(f"lost_node: killed node {killed}\n")
    cluster.shutdown()
    return {"status": process.returncode, "killed": killed}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]), sys.argv[2:])) + "\n")
