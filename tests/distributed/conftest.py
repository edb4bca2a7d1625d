"""A Ray cluster of three nodes on the loopback address, one for all tests."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

NODES = 3
NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}

# Ray reads this once, when a test first imports it. Processes that a test starts can join the cluster by `--address`.
os.environ |= {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on the loopback address
    "RAY_USAGE_STATS_ENABLED": "0",
}


@pytest.fixture(scope="session")
def ray_cluster():
    pytest.importorskip("ray")
    # Ray's sockets lie in this folder, and the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    (folder / "ray").mkdir()
    os.environ["RAY_TMPDIR"] = str(folder)
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args=NODE | {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True},
    )
    for _ in range(NODES - 1):
        cluster.add_node(**NODE)
    yield cluster
    cluster.shutdown()
    del os.environ["RAY_TMPDIR"]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(ray_cluster):
    """The cluster with all its nodes; a node that a test removes is replaced after it."""
    yield ray_cluster
    while len(ray_cluster.worker_nodes) < NODES - 1:
        ray_cluster.add_node(**NODE)


@pytest.fixture(scope="module")
def address(ray_cluster):
    """The address of the cluster, to which this process stays connected, so that its workers stay warm."""
    from emocatcher.distributed import cluster as clusters

    with clusters.connected(ray_cluster.address):
        yield ray_cluster.address
