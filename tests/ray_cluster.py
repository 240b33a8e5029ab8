"""Two nodes of a Ray cluster on this machine, in a process of their own.

As a program it says its address; each line of stdin takes a node away, the second one first; it
ends with stdin.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def two_nodes() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of such a cluster, and what takes a node away."""
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def take_one_away() -> None:
            stdin.write("\n")
            stdin.flush()
            assert stdout.readline() == "gone\n"

        yield stdout.readline().strip(), take_one_away
        stdin.close()
        process.wait(timeout=60)


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
