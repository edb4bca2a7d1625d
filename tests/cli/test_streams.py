"""Whatever stdin, stdout and stderr are, a command prints its result or one line, and never a traceback."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LONG = "x" * 300
COMMANDS = [
    ["predict", "{clip}"],
    ["predict", "{clip}", "{clip}", "--format", "jsonl"],
    ["timeline", "{clip}"],
    ["info"],
    ["info", "--json"],
    ["--help"],
]


def run(arguments: list[str], redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line below a shell, which can close streams."""
    command = ["sh", "-c", f'"$@" {redirection}', "sh", sys.executable, "-m", "emocatcher", *arguments]
    return subprocess.run(
        command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env={**os.environ, **environment}
    )


@pytest.fixture(scope="module")
def clip(small_run: Any) -> str:
    return str(small_run.corpus.utterances[0].path)


@pytest.mark.parametrize(
    ("encoding", "arguments"), [("ascii", ["predict", "{clip}"]), ("latin-1", ["info"]), ("cp1252", ["info"])]
)
def test_an_encoding_without_bars_gets_other_characters(clip: str, encoding: str, arguments: list[str]) -> None:
    done = run([one.format(clip=clip) for one in arguments], PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    assert "#" in shown
    assert "\\u" not in shown


def test_json_is_utf_8_in_every_encoding() -> None:
    done = run(["info", "--json"], PYTHONIOENCODING="ascii")
    assert done.stdout == run(["info", "--json"], PYTHONIOENCODING="utf-8").stdout
    assert b'"name": "emocatcher-3"' in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_stdout_that_is_full_closed_or_not_read_is_one_line(clip: str, arguments: list[str]) -> None:
    filled = [one.format(clip=clip) for one in arguments]
    for redirection, reason in ((">/dev/full", b"No space left"), (">&-", b"Bad file descriptor")):
        done = run(filled, redirection)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(b"Error: ")
        assert done.stderr.count(b"\n") == 1
        assert reason in done.stderr
    assert run(filled, "| true").stderr == b""


def test_a_full_stdout_is_one_line() -> None:
    done = run(["info"], ">/dev/full")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"No space left" in done.stderr


def test_closed_stdin_and_stderr_are_no_traceback(clip: str) -> None:
    done = run(["predict", "-", "--format", "jsonl"], "<&-")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert run(["predict", clip], "2>&-").returncode == 0
    assert run(["predict", "nowhere.wav"], "2>&-").returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "{clip}", "--out", f"{LONG}.csv"],
        ["predict", "{clip}", "--model", LONG],
        ["timeline", "{clip}", "--out", f"{LONG}.csv"],
        ["timeline", "{clip}", "--plot", f"{LONG}.svg"],
        ["train", "--corpus", "{voices}", "--protocol", "stratified-2", "--out", LONG],
        ["train", "--preset", f"{LONG}.toml", "--protocol", "stratified-2", "--out", "x"],
        ["sweep", f"{LONG}.toml", "--out", LONG],
        ["evaluate", LONG, "--protocol", "speakers-2"],
        ["audit", "--corpus", f"{LONG}.csv", "--protocol", "manifest"],
        ["check", LONG],
        ["compare", LONG],
        ["report", LONG],
        ["finalise", LONG, "--to", LONG],
        ["convert", LONG, "--to", LONG],
        ["export", "--to", f"{LONG}.onnx"],
        ["info", LONG],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_name_that_is_too_long_is_one_line(
    call: Callable[..., Any], clip: str, voices_dir: Path, arguments: list[str]
) -> None:
    outcome = call(*(one.format(clip=clip, voices=voices_dir) for one in arguments))
    assert outcome.code == 2
    assert "File name too long" in outcome.err or "No model" in outcome.err
    assert outcome.err.strip().splitlines()[-1].startswith("Error: ")
