"""Tests of `emocatcher.distributed.cluster`: what a cluster needs, and errors that name the node."""

import os
import socket
import subprocess
import sys

import pytest

from emocatcher import __version__
from emocatcher.distributed import cluster as clusters
from emocatcher.foundation.errors import ClusterError, MissingExtraError


@pytest.mark.parametrize("address", ["local", "host", "http://host:1", "host:port", "ray://host", "host:99999"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(ClusterError, match="Allowed: auto, HOST:PORT, ray://HOST:PORT"), clusters.connected(address):
        pass


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_missing_cluster_is_an_error_at_once(scheme):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        pytest.raises(ClusterError, match=f"No Ray cluster at '{scheme}127.0.0.1:{port}'.*ray start --head"),
        clusters.connected(f"{scheme}127.0.0.1:{port}"),
    ):
        pass


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    with (
        pytest.raises(MissingExtraError, match=r"needs the extra 'distributed'.*Install it with: "),
        clusters.connected(),
    ):
        pass


@pytest.mark.slow
def test_every_node_is_asked_once(cluster, address):
    def node_and_version() -> tuple[str, str]:
        import ray

        import emocatcher

        return ray.get_runtime_context().get_node_id(), emocatcher.__version__

    answers = clusters.ask_nodes(node_and_version)
    assert {version for _, version in answers.values()} == {__version__}
    assert {node for node, _ in answers.values()} == {node.node_id for node in cluster.list_all_nodes()}
    assert len(answers) == 3


@pytest.mark.slow
def test_a_node_with_another_version_is_named(address, monkeypatch):
    monkeypatch.setattr(clusters, "__version__", "0.0.1")
    with (
        pytest.raises(ClusterError, match=rf"Node .*127.0.0.1.* has emocatcher {__version__}; .* has 0.0.1"),
        clusters.connected(address),
    ):
        pass


@pytest.mark.slow
def test_a_node_without_a_path_is_named(address, tmp_path):
    clusters.check_paths([tmp_path], "the corpus")
    with pytest.raises(ClusterError, match=r"Node .*127.0.0.1.* does not find the corpus: .*/absent"):
        clusters.check_paths([tmp_path, tmp_path / "absent"], "the corpus")


@pytest.mark.slow
def test_a_connection_of_the_caller_stays_open(address):
    import ray

    with clusters.connected(address):
        pass
    assert ray.is_initialized()


LOCAL = """
import os
import sys
from pathlib import Path
from emocatcher.distributed import cluster
assert "ray" not in sys.modules
with cluster.connected(num_cpus=2):
    import ray
    assert ray.available_resources()["CPU"] == 2
    folder = Path(ray.nodes()[0]["ObjectStoreSocketName"]).parents[2]
    assert folder.is_dir() and folder.name.startswith("ray-")
    assert list(cluster.ask_nodes(lambda: 1).values()) == [1]
    ports = {node[name] for node in ray.nodes() for name in ("NodeManagerPort", "ObjectManagerPort")}
    for line in open("/proc/net/tcp").readlines()[1:] + open("/proc/net/tcp6").readlines()[1:]:
        address, port = line.split()[1].split(":")
        if line.split()[3] == "0A" and int(port, 16) in ports:
            ports.remove(int(port, 16))
            assert address in ("0100007F", "0000000000000000FFFF00000100007F"), address
    assert not ports, ports
    assert os.environ["RAY_AUTH_MODE"] == "token" and os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
assert not ray.is_initialized()
assert not folder.exists()
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the listening ports from /proc")
def test_a_local_ray_listens_on_the_loopback_address_only_and_leaves_nothing(tmp_path):
    long = tmp_path / ("a long name of a temporary folder, as batch systems give " * 2)
    long.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["TMPDIR"] = str(long)
    done = subprocess.run([sys.executable, "-c", LOCAL], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr
