"""`emocatcher serve`: printed messages and refusals."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from emocatcher.cli import server_options
from emocatcher.cli.serve import serve as command
from emocatcher.foundation.errors import MissingExtraError

from .conftest import Server


def refusal(*arguments: object) -> str:
    """Run the command, check that it fails, and return its stderr."""
    run = [sys.executable, "-m", "emocatcher", "serve", *map(str, arguments)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_user_errors_are_reported_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        error = refusal("--port", taken.getsockname()[1])
    assert error.startswith("Error: The address 127.0.0.1, port ")
    assert "in use. Give another --port" in error
    error = refusal("--port", 0, "--model", tmp_path)
    assert error.splitlines()[-1].startswith(f"Error: {tmp_path} is not a model folder")
    assert "Traceback" not in error
    assert refusal("--listen-corpus", tmp_path, "--port", 0).startswith(f"Error: {tmp_path} contains no clip to guess")
    assert "none is not a folder" in refusal("--listen-corpus", tmp_path / "none", "--port", 0)
    assert refusal("--limit", "queue=none").startswith("Error: The limit queue cannot be 'none': Expected int")
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "emocatcher.cli.server_options.find_spec", lambda name: None if name == "uvicorn" else util.find_spec(name)
    )
    with pytest.raises(MissingExtraError, match=r"The server needs the extra 'serve'. .*\[serve\]'"):
        command(workers=1)


def test_blanks_around_tokens_are_left_out_and_a_blank_token_does_not_open_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(server_options.TOKENS, "ara, bora ,,")
    assert server_options.all_tokens([" cora"]) == ("cora", "ara", "bora")
    monkeypatch.setenv(server_options.TOKENS, " ")
    assert len(server_options.all_tokens(None)) == 1


def test_the_address_is_printed_and_open_access_is_warned_about(server: Server) -> None:
    first = server.log.read_text().splitlines()[0]
    assert first == f"EmoCatcher is at {server.url}/ (API: {server.url}/docs). Stop it with Ctrl-C"
    run = [sys.executable, "-m", "emocatcher", "serve", "--host", "0.0.0.0", "--port", "0"]
    for environment, warns in (({}, True), ({"EMOCATCHER_TOKENS": "secret"}, False)):
        with subprocess.Popen(run, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            process.terminate()
            process.wait(30)
        assert line.startswith("Warning: anyone who can reach 0.0.0.0 can use this server") is warns
