"""Read a Dockerfile, and run its steps and its command without a container engine.

`python container.py CHECKOUT FOLDER RECORDING` needs root and Linux, and must be started by `unshare --mount`. The
steps run in a copy of the root file system that is thrown away (overlayfs in memory), in place of the base image; then
the copy is made read-only, and the command runs as the image's user, on a network of its own that has only the loopback
interface. What was found is printed as JSON.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
START_S = 60
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Stage(NamedTuple):
    """One `FROM`: the base image, the stage's name and its other instructions, in their order."""

    base: str
    name: str
    steps: list[tuple[str, str]]

    def last(self, instruction: str) -> str:
        """The text of the last such instruction."""
        return [text for word, text in self.steps if word == instruction][-1]

    def environment(self) -> dict[str, str]:
        """The variables that `ENV` sets."""
        texts = [text for word, text in self.steps if word == "ENV"]
        pairs = [pair.partition("=")[::2] for text in texts for pair in shlex.split(text)]
        return {name: value.replace("$PATH", USUAL_PATH) for name, value in pairs}


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: list[Stage] = []
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name, []))
        else:
            found[-1].steps.append((word, rest))
    return found


def is_sent(path: str, patterns: Sequence[str]) -> bool:
    """Whether a file of the checkout is sent to the builder: the last pattern of .dockerignore that fits decides."""
    sent, parents = True, [path, *map(str, Path(path).parents)][:-1]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if any(fnmatch(place, wanted) or fnmatch(f"/{place}", wanted.replace("**", "*")) for place in parents):
            sent = pattern.startswith("!")
    return sent


def ignore_patterns(text: str) -> list[str]:
    """The patterns of a .dockerignore."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def copy_context(checkout: Path, to: Path) -> None:
    """`COPY . .`"""
    patterns = ignore_patterns((checkout / ".dockerignore").read_text(encoding="utf-8"))

    def unsent(folder: str, names: list[str]) -> list[str]:
        place = Path(folder).relative_to(checkout)
        return [name for name in names if not is_sent(str(place / name), patterns)]

    shutil.copytree(checkout, to, ignore=unsent, dirs_exist_ok=True)


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_root(folder: Path) -> Path:
    """A copy of the root file system, with the commands `python` and `pip` that the base image has."""
    mount("-t", "tmpfs", "tmpfs", folder)
    upper, work, root = folder / "upper", folder / "work", folder / "root"
    for path in (upper, work, root):
        path.mkdir()
    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", root)
    for name in ("proc", "dev"):
        mount("--rbind", f"/{name}", root / name)
    python = Path(sys.executable).resolve()
    for parent in python.parents:  # in the image any user can run Python
        path = root / str(parent).lstrip("/")
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o055)
    for name, command in (("python", str(python)), ("pip", f"{sys.executable} -m pip")):
        path = root / "usr" / "local" / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)
    return root


def build(stage: Stage, root: Path, checkout: Path, page: Path) -> None:
    """Run the steps of a stage."""
    folder = "/"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables["PATH"] = USUAL_PATH
    for word, text in stage.steps:
        here = root / folder.lstrip("/")
        if word == "ARG":
            name, _, value = text.partition("=")
            variables[name] = value
        elif word == "WORKDIR":
            folder = text
            (root / folder.lstrip("/")).mkdir(parents=True)
        elif (word, text) == ("COPY", ". ."):
            copy_context(checkout, here)
        elif word == "COPY" and text.startswith("--from=page "):
            shutil.copytree(page, here / text.split()[-1])
        elif word == "RUN" and text.startswith("apt-get "):
            packages = text.partition(" --no-install-recommends ")[2]
            if packages != "binutils" or not shutil.which("strip"):
                raise SystemExit(f"This machine needs what {text} installs")
        elif word == "RUN":
            command = re.sub(r"^(--mount=\S+ )*", "", text)
            run = ["chroot", str(root), "sh", "-c", f"cd {folder} && {{ {command}; }}"]
            done = subprocess.run(run, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise SystemExit(f"RUN {text}\n{done.stdout}")
        else:
            raise SystemExit(f"This test cannot run {word} {text}")


def n_bytes(folder: Path) -> int:
    """The space that a folder takes on disk, as `du` counts it."""
    return int(subprocess.run(["du", "-s", "-B1", folder], check=True, capture_output=True).stdout.split()[0])


def enter(root: Path, folder: str, recording: Path) -> None:
    """Make this process see the root read-only, with an empty /tmp, and no network but loopback.

    The working folder contains the recording alone, as if it were mounted there.
    """
    content = recording.read_bytes()
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
    here = root / folder.lstrip("/")
    here.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "tmpfs", here)
    (here / recording.name).write_bytes(content)
    mount("-o", "remount,ro", root)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    os.chroot(root)
    os.chdir(folder)


def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def use(image: Stage, command: list[str], recording: str) -> dict[str, object]:
    """Start the server as the image's user, ask it, stop it, and run the command line; return what was found."""
    user, group = map(int, image.last("USER").split(":"))
    entry = json.loads(image.last("ENTRYPOINT"))
    health = json.loads(image.last("HEALTHCHECK").partition(" CMD ")[2])
    as_user = {"env": image.environment(), "user": user, "group": group, "extra_groups": []}
    found: dict[str, object] = {}
    try:
        Path("/opt/written").touch()
    except OSError as error:
        found["root"] = errno.errorcode[error.errno or 0]
    found["health before"] = subprocess.run(health, **as_user, capture_output=True).returncode
    with subprocess.Popen([*entry, *command], **as_user, stderr=subprocess.PIPE, text=True) as server:
        try:
            last = time.monotonic() + START_S
            while (state := subprocess.run(health, **as_user, capture_output=True).returncode) and (
                server.poll() is None and time.monotonic() < last
            ):
                time.sleep(0.2)
            found["health"] = state
            if not state:
                found["user"] = Path(f"/proc/{server.pid}").stat().st_uid
                found["predict"] = ask(
                    "POST", "/v1/predict", Path(recording).read_bytes(), **{"Content-Type": "audio/mp4"}
                )
                found["page"] = ask("GET", "/")
                found["metrics"] = ask("GET", "/metrics", Host="emocatcher:8000")
                found["other host"] = ask("GET", "/metrics", Host="other:8000")[0]
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                _, found["log"] = server.communicate(timeout=40)
            finally:
                server.kill()
    found["exit code"] = server.returncode
    predict = [*entry, "predict", recording, "--format", "json"]
    done = subprocess.run(predict, **as_user, capture_output=True)
    found["command line"] = done.returncode, done.stdout.decode(), done.stderr.decode()
    found["left"] = [str(path) for path in Path("/tmp").rglob("*")]
    return found


def main(checkout: Path, folder: Path, recording: Path, *command: str) -> None:
    _, building, image = stages((checkout / "Dockerfile").read_text(encoding="utf-8"))
    page, mounted = folder / "page", folder / "mounted"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html><title>EmoCatcher</title><p>a page of one file")
    mounted.mkdir()
    root = make_root(mounted)
    build(building, root, checkout, page)
    shutil.rmtree(root / building.last("WORKDIR").lstrip("/"))  # the image has only what is copied from this stage
    (copied,) = (text.removeprefix("--from=build ").split() for word, text in image.steps if word == "COPY")
    if copied[0] != copied[1]:
        raise SystemExit("An environment cannot be moved: copy it to the same place")
    n = n_bytes(root / copied[0].lstrip("/"))
    enter(root, image.last("WORKDIR"), recording)
    json.dump(use(image, list(command), recording.name) | {"n_bytes": n}, sys.stdout)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *sys.argv[4:])
