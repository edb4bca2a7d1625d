"""The documents are correct: their commands and flags exist, their links lead somewhere, their Python runs."""

import contextlib
import csv
import http.client
import io
import itertools
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import source_map
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.foundation.settings import presets

ROOT = Path(__file__).parents[1]
PATHS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
PLACES = (ROOT, ROOT / "src" / "emocatcher", ROOT / "web" / "src")
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}


def _fenced(text: str) -> list[tuple[str, str]]:
    """The language and the text of each fenced block, in their order."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def _blocks(text: str, language: str) -> list[str]:
    return [block for found, block in _fenced(text) if found == language]


def _commands() -> list[list[str]]:
    lines = "\n".join(block for text in TEXTS.values() for block in _blocks(text, "")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("emocatcher ")]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_in_the_documents_is_one_that_parses(words: list[str]) -> None:
    import typer

    from emocatcher.cli.app import app

    group = typer.main.get_command(app)
    command = group.get_command(None, words[1])
    assert command is not None, f"no such command: {words[1]}"
    context = command.make_context(words[1], words[2:], resilient_parsing=False)
    named = context.params.get("protocol")
    assert not named or re.sub(r"\d+$", "K", named) in protocols.names() or named in protocols.names()
    assert context.params.get("preset") in (None, *presets())


def test_the_documents_show_commands() -> None:
    assert len(_commands()) >= 9


@pytest.mark.parametrize(
    "target",
    [
        "demo",
        "test",
        "test-all",
        "page",
        "test-page",
        "docs",
        "lint",
        "types",
        "format",
        "map",
        "bench",
        "packages",
        "paper",
    ],
)
def test_every_make_target_in_the_documents_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_files_the_documents_point_to_exist() -> None:
    for path, text in zip(PATHS, TEXTS.values(), strict=True):
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (path.parent / link).exists(), f"{path.name} points to {link}"
        for folder in re.findall(r"`([a-z_]+/(?:[a-z_]+(?:/|\.py))*)`", text):
            rooms = [place for place in PLACES if (place / folder.partition("/")[0]).exists()]  # not a user's folder
            assert not rooms or any((place / folder).exists() for place in rooms), f"{path.name} names {folder}"


def test_the_map_of_the_source_is_current() -> None:
    assert TEXTS["CONTRIBUTING.md"] == source_map.with_map(TEXTS["CONTRIBUTING.md"]), "run `make map`"


def test_the_readme_is_short() -> None:
    assert TEXTS["README.md"].count("\n") < 200


def test_every_flag_that_the_documents_name_is_one_of_a_command() -> None:
    import typer

    from emocatcher.cli.app import NAMES, app

    group = typer.main.get_command(app)
    known = {"--help", "--version", "--install-completion", "--show-completion"}
    for name in NAMES:
        for parameter in group.get_command(None, name).params:
            known |= {*parameter.opts, *parameter.secondary_opts}
    others = {"--diarize"}  # of WhisperX
    for name, text in TEXTS.items():
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
        for code in re.findall(r"`([^`\n]+)`", prose):
            ours = not code.startswith(("pip ", "python ", "ruff ", "strace ", "ray ", "tensorboard ", "docker "))
            unknown = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", code)) - known - others if ours else set()
            assert not unknown, f"{name} names {', '.join(sorted(unknown))}"


@pytest.mark.parametrize("name", TEXTS)
def test_the_python_of_the_documents_compiles(name: str) -> None:
    for block in _blocks(TEXTS[name], "python"):
        assert compile(block, name, "exec")  # a mistake raises SyntaxError


def test_the_python_of_the_readme_compiles_and_names_what_is_public() -> None:
    import emocatcher

    (block,) = _blocks(TEXTS["README.md"], "python")
    compile(block, "README.md", "exec")
    for name in re.findall(r"from emocatcher import (\w+)", block):
        assert callable(getattr(emocatcher, name))


def test_the_sweep_in_the_documents_can_be_read(tmp_path: Path) -> None:
    from emocatcher.training import sweep

    (block,) = _blocks(TEXTS["docs/training.md"], "toml")
    (tmp_path / "sweep.toml").write_text(block, encoding="utf-8")
    plan = sweep.read(tmp_path / "sweep.toml")
    assert plan.file.protocol in protocols.names()
    assert [choice.name for choice in plan.choices][:2] == ["baseline", "smoother"]
    assert len(plan.choices) == 4


@contextlib.contextmanager
def _server(words: list[str]) -> Iterator[int]:
    """Run a command that serves, on a free port, and stop it by Ctrl-C."""
    if "--port" in words:
        words[words.index("--port") + 1] = "0"
    with Path("server.log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=log, stderr=log)
    try:
        last = time.monotonic() + 60
        while " is at http" not in Path("server.log").read_text():
            assert process.poll() is None, Path("server.log").read_text()
            assert time.monotonic() < last, Path("server.log").read_text()
            time.sleep(0.05)
        yield int(Path("server.log").read_text().partition("127.0.0.1:")[2].partition("/")[0])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, Path("server.log").read_text()
    finally:
        process.kill()
        process.wait()


def _label(words: list[str], truth: dict[str, str]) -> str:
    """Run `emocatcher label`, and label every clip as the page does."""
    from emocatcher.server import labelling

    clips = labelling.find_clips(words[2:3], print)
    if "--shuffle" in words:
        clips = labelling.shuffle(clips, int(words[words.index("--shuffle") + 1]))
    with (
        _server([*words, "--no-browser"]) as port,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection,
    ):
        for number, clip in enumerate(clips, 1):
            body = json.dumps({"label": truth[clip.path.name]})
            connection.request("PUT", f"/v1/label/clips/{number}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
    return Path("server.log").read_text()


def _table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_tutorial_runs_in_its_order(voices: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On synthetic voices, under the names of the tutorial's recordings; ports are free ones.

    The labels are given through the routes of the labelling page. Of the outputs that the tutorial shows, the first
    word of each line must be in what the commands print.
    """
    pytest.importorskip("torch", reason="needs the extra 'train'")
    pytest.importorskip("fastapi", reason="needs the extra 'serve'")
    monkeypatch.chdir(tmp_path)
    truth: dict[str, str] = {}
    for name, voice in zip(("ara", "bora", "gyu", "hani"), voices.speakers, strict=True):
        for emotion in ("neutral", "happy", "sad", "angry"):
            for clip in [one for one in voices if (one.speaker, one.emotion) == (voice, emotion)][:3]:
                truth[file := f"{name}-{len(truth) % 12 + 1:02}.opus"] = emotion
                Path("calls").mkdir(exist_ok=True)
                shutil.copy(clip.path, Path("calls", file))
    served, said, n_run = contextlib.ExitStack(), "", 0
    with served:
        port = 0
        for language, block in _fenced(TEXTS["docs/your-recordings.md"]):
            if language == "python":
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    exec(compile(block.replace("8000", str(port)), "your-recordings.md", "exec"), {})
                said = printed.getvalue()
            elif language == "text":
                for line in block.splitlines():
                    for word in re.findall("[a-z]{4,}", line)[:1]:
                        assert word in said or word in truth.values(), f"'{line}' is not printed, but: {said}"
            elif not language:
                said = ""
                for words in (shlex.split(line, comments=True) for line in block.splitlines()):
                    assert words[0] == "emocatcher", f"not a command of this project: {words}"
                    n_run += 1
                    if words[1] == "label":
                        said += _label(words, truth)
                    elif words[1] == "serve":
                        port = served.enter_context(_server(words))
                    else:
                        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, check=False)
                        assert done.returncode == 0, (words, done.stderr.decode())
                        said += done.stdout.decode() + done.stderr.decode()
                    for option, path in itertools.pairwise(words):
                        assert option not in ("--out", "--to") or Path(path).exists(), f"{words} did not write {path}"
    assert n_run >= 10
    assert {Path(row["path"]).name: row["label"] for row in _table("my.csv")} == truth
    assert {row["speaker"] for row in _table("adapt.csv")}.isdisjoint(row["speaker"] for row in _table("test.csv"))
    assert len(_table("week.csv")) == len(_table("settled.csv")) == 24
    assert Path("models/mine/adaptation.html").is_file()
    assert Path("week.html").is_file()
