"""The image: its steps run, and its command works as a user without rights on a read-only file system.

No engine builds images here, so that `container.py` runs the Dockerfile's steps in its place. The stage that builds the
page is not run: it is `make page`, which has its own tests.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import typer

import example
from emocatcher.cli.app import app
from emocatcher.corpora.synthesiser import SAMPLE_RATE

from .container import Stage, ignore_patterns, is_sent, stages

yaml = pytest.importorskip("yaml", reason="needs the extra 'exchange'")

ROOT = Path(__file__).parents[2]
BASE_BYTES = 125_000_000  # python:3.12-slim on x86-64, uncompressed
PAGE_BYTES = 15_000_000  # compressed
MOST_BYTES = 450_000_000


@pytest.fixture(scope="module")
def dockerfile() -> list[Stage]:
    return stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def options(words: list[str]) -> dict[str, Any]:
    """The options of a command line that starts with the command's name."""
    command = typer.main.get_command(app).get_command(None, words[0])
    return command.make_context(words[0], words[1:]).params


def test_the_stages_fit_each_other_and_the_project(dockerfile: list[Stage], project: dict[str, Any]) -> None:
    page, building, image = dockerfile
    assert building.base == image.base  # an environment works with the Python that made it
    version = re.fullmatch(r"python:(3\.\d+)-slim", image.base)[1]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    assert building.last("ARG") == "EXTRAS=serve"
    extras = [*re.findall(r"\.\[(\w+)\]", str(page.steps)), "serve"]
    assert set(extras) <= set(project["optional-dependencies"])
    named = [text for _, text in building.steps + image.steps if "--from=" in text]
    assert {re.search(r"--from=(\w+)", text)[1] for text in named} == {page.name, building.name}


def test_the_stage_of_the_page_runs_a_make_target_without_the_developers_packages(dockerfile: list[Stage]) -> None:
    command = re.sub(r"^(--mount=\S+ )*", "", dockerfile[0].last("RUN"))
    shown = subprocess.run(["sh", "-c", f"{command} --dry-run"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "npm run --silent build" in shown.stdout
    assert "/opt/page/bin/python web/model_files.py dist/page" in shown.stdout
    assert "pip install" not in shown.stdout


def test_the_build_is_sent_what_it_needs_and_nothing_else() -> None:
    patterns = ignore_patterns((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    needed = subprocess.run(
        ["git", "ls-files", "src", "web", "hatch_build.py"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    needed += ["pyproject.toml", "README.md", "LICENSE", "NOTICE", "Makefile", "constraints.txt"]
    assert [path for path in needed if not is_sent(path, patterns)] == []
    private = (
        ".git/config", ".venv/bin/python", "calls/ara.wav", "voice.m4a", "models/mine/model.onnx", "runs/a/result.json",
        "dist/page/index.html", "src/emocatcher/__pycache__/a.pyc", "web/node_modules/vite/package.json", ".env",
    )  # fmt: skip
    assert [path for path in private if is_sent(path, patterns)] == []


def test_the_server_answers_to_the_name_that_prometheus_uses(compose: dict[str, Any]) -> None:
    server = compose["services"]["emocatcher"]
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = [target for job in scraped for group in job["static_configs"] for target in group["targets"]]
    chosen = options(server["command"])
    assert targets == [f"emocatcher:{chosen['port']}"]
    assert "emocatcher" in compose["services"]
    assert "emocatcher" in chosen["allow_host"]
    assert all(job.get("metrics_path", "/metrics") == "/metrics" for job in scraped)
    (mounted,) = (v for v in compose["services"]["prometheus"]["volumes"] if v.startswith("./"))
    assert (ROOT / mounted.split(":")[0]).is_file()


def test_nothing_is_published_beyond_this_machine_and_no_service_has_rights(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert compose["services"]["emocatcher"]["read_only"] is True


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_health_check_asks_the_server_itself_whatever_proxy_the_environment_names(dockerfile: list[Stage]) -> None:
    command = json.loads(dockerfile[-1].last("HEALTHCHECK").partition(" CMD ")[2])
    assert options(json.loads(dockerfile[-1].last("CMD")))["port"] == 8000
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        words = [sys.executable, *(word.replace(":8000", f":{server.server_port}") for word in command[1:])]
        proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": ""}
        done = subprocess.run(words, env=os.environ | proxy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run(words, capture_output=True, check=False).returncode == 1  # it has stopped


def test_the_uploads_fit_and_running_requests_are_answered(compose: dict[str, Any]) -> None:
    from emocatcher.server.limits import Limits

    server = compose["services"]["emocatcher"]
    gigabytes = int(re.search(r"size=(\d+)g", server["tmpfs"][0])[1])
    assert gigabytes << 30 >= 2 * Limits().spool_bytes
    assert int(server["stop_grace_period"].removesuffix("s")) > Limits().stop_s


def test_the_commands_of_the_documentation_parse() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("docker run ")]
    commands = [words[words.index("emocatcher") + 1 :] for words in lines]
    assert len([options(words) for words in commands if words]) >= 3


def write_m4a(path: Path) -> Path:
    """Write the page's example, a synthetic voice, as only FFmpeg's libraries can read it."""
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.atleast_2d(example.waveform()), format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def can_run_steps() -> bool:
    """Whether this is a Linux with root's rights, overlayfs, `unshare` and `strip`."""
    if sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("strip")):
        return False
    allowed = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode == 0
    return allowed and "overlay" in Path("/proc/filesystems").read_text(encoding="ascii")


@pytest.mark.index
def test_the_image_works_without_rights_on_a_read_only_file_system(tmp_path: Path, compose: dict[str, Any]) -> None:
    """Its steps run, its size is counted, and its server and command line are used as Docker would start them."""
    if not can_run_steps():
        pytest.skip("needs root, Linux, overlayfs, unshare and strip")
    recording = write_m4a(tmp_path / "voice.m4a")
    command = [sys.executable, Path(__file__).with_name("container.py"), ROOT, tmp_path, recording]
    done = subprocess.run(
        ["unshare", "--mount", *map(str, command), *compose["services"]["emocatcher"]["command"]],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["root"] == "EROFS"
    assert (found["health before"], found["health"]) == (1, 0), found["log"]
    assert found["user"] == 10001
    status, answer = found["predict"]
    assert status == 200, answer
    assert found["page"][0] == 200
    assert "a page of one file" in found["page"][1]
    status, metrics = found["metrics"]
    assert status == 200
    assert 'emocatcher_recordings_total{outcome="ok"} 1.0' in metrics
    documented = re.findall(r"emocatcher_\w+", (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"))
    assert [name for name in documented if f"\n{name}" not in metrics] == []
    assert found["other host"] == 421
    assert found["exit code"] == 0, found["log"]
    code, printed, errors = found["command line"]
    assert code == 0, errors
    assert json.loads(answer)["emotion"]
    assert json.loads(printed)[0]["probabilities"] == json.loads(answer)["probabilities"]
    assert found["left"] == []
    assert found["n_bytes"] + BASE_BYTES + PAGE_BYTES <= MOST_BYTES
