"""Nothing leaves the machine: commands are run without a network and under strace, which lists what they open."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocatcher.models import model_folder

pytestmark = pytest.mark.slow

SOCKETS = "socket,connect,bind,sendto,sendmsg,sendmmsg"
FILES = "open,openat,openat2,creat,mkdir,mkdirat,symlink,symlinkat,link,linkat"
# Seconds after which ONNX Runtime, if it is not told otherwise, looks up the address of its makers' collector.
PATIENCE_S = 12

# Devices and nameless files are not kept.
NOT_KEPT = ("/dev/", "/proc/", "/sys/")

LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # a new network namespace's loopback is down
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1))
os.execvp(sys.argv[1], sys.argv[1:])
"""

LIBRARY = f"""
import sys, time
import emocatcher
recognizer = emocatcher.load()
recognizer.predict(sys.argv[1])
list(recognizer.predict_many([sys.argv[1]] * 4, workers=2))
time.sleep({PATIENCE_S})
"""

SERVER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from emocatcher.client import Client
command = [*sys.argv[2:], sys.executable, "-m", "emocatcher", "serve", "--port", "0", "--workers", "2"]
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
try:
    url = next(word for line in server.stderr for word in line.split() if word.startswith("http"))
    client = Client(url)
    client.predict(sys.argv[1])
    client.timeline(sys.argv[1])
    time.sleep(PATIENCE_S)
finally:
    # strace does not pass signals on to the program that it runs.
    os.kill(int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]), signal.SIGINT)
    server.wait(20)
""".replace("PATIENCE_S", str(PATIENCE_S))


class Traced:
    """One program's run: what it connected to, and the files that it left behind."""

    def __init__(self, trace: str, kept: tuple[Path, ...]) -> None:
        calls = [line for line in trace.splitlines() if not re.search(r"= -1 E(?!NETUNREACH|INPROGRESS)", line)]
        self.internet = [
            line for line in calls if re.search(r"\b(socket|connect|bind|send\w+)\(.*(AF_INET|inet)", line)
        ]
        opened = [line for line in calls if re.search(r"O_WRONLY|O_RDWR|O_CREAT|\bcreat\(", line)]
        paths = [match[1] for line in opened if (match := re.search(r"= \d+<(/[^>]*)>", line))]
        paths += [
            match[1]
            for line in calls
            if (match := re.search(r"\b(?:mkdir\w*|symlink\w*|link\w*)\(.*?\"(/[^\"]+)\"", line))
        ]
        self.foreign = sorted({path for path in paths if not path.startswith((*NOT_KEPT, *map(str, kept)))})


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Callable[..., Traced]]:
    if not (shutil.which("strace") and shutil.which("unshare")):
        pytest.skip("needs strace and unshare: install the packages strace and util-linux")
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    out.mkdir()
    # A short path: the sockets of the server's processes are in it, and their paths have at most 107 bytes.
    temporary = Path(tempfile.mkdtemp(prefix="emo"))
    strace = ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-s", "300", "-e", f"trace={SOCKETS},{FILES}"]
    strace += ["-o", str(tmp_path / "trace")]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "EMOCATCHER_", "ORT_"))}
    # Python's own bytecode files are not the program's.
    plain |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*command: object, driver: str = "") -> Traced:
        isolated = ["unshare", "--map-root-user", "--net", sys.executable, "-c", LOOPBACK]
        program = [sys.executable, "-c", driver] if driver else [*strace, sys.executable]
        words = [*isolated, *program, *map(str, command), *(strace if driver else [])]
        done = subprocess.run(words, cwd=out, env=plain, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr
        assert not list(temporary.iterdir()), "temporary files are left behind"
        known = {home / ".cache" / name for name in ("emocatcher", "matplotlib")} | {home / ".config" / "matplotlib"}
        left = {path for path in home.rglob("*") if path.is_file()}
        assert not [path for path in left if not known & set(path.parents)]
        return Traced((tmp_path / "trace").read_text(errors="replace"), (home, temporary, out))

    yield run
    shutil.rmtree(temporary)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "voice.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(32_000), 16_000)
    return path


def test_the_library_opens_no_socket_and_leaves_no_file(traced: Callable[..., Traced], recording: Path) -> None:
    found = traced("-c", LIBRARY, recording)
    assert not found.internet
    assert not found.foreign


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "RECORDING", "--out", "answers.csv", "--workers", "2"),
        ("timeline", "RECORDING", "--out", "timeline.json", "--plot", "timeline.svg"),
        ("export", model_folder.BUNDLED, "--to", "graph.onnx"),
        ("train", "--corpus", "CORPUS", "--protocol", "speakers-2", "--out", "run", "--epochs", "1"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_opens_no_socket_and_writes_only_documented_files(
    traced: Callable[..., Traced], recording: Path, voices_dir: Path, command: tuple[str, ...]
) -> None:
    places = {"RECORDING": str(recording), "CORPUS": str(voices_dir)}
    found = traced("-m", "emocatcher", *(places.get(word, word) for word in command))
    assert not found.internet
    assert not found.foreign


def test_the_server_opens_only_its_own_socket(traced: Callable[..., Traced], recording: Path) -> None:
    found = traced(recording, driver=SERVER)
    assert found.internet
    assert all("127.0.0.1" in line or " socket(" in line for line in found.internet), found.internet
    assert not [line for line in found.internet if " connect(" in line]
    assert not found.foreign


def test_the_users_own_choice_about_telemetry_stays() -> None:
    show = "import os, emocatcher; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    environment = dict(os.environ, ORT_DISABLE_TELEMETRY="0")
    environment.pop("HF_HUB_DISABLE_TELEMETRY", None)
    done = subprocess.run([sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "0 1\n"
