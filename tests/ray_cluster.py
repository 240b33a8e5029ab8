"""Two nodes of a Ray cluster on this machine, in a process of their own.

Says its address; each line of stdin takes a node away, the second one first; ends with stdin.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=1)]
    print(cluster.address, flush=True)  # noqa: T201 (is read by the test)
    for _ in sys.stdin:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("gone", flush=True)  # noqa: T201
    cluster.shutdown()
