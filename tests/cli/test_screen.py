"""Tables and progress in terminals of any width; the terminal is a pseudo terminal."""

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

TABLE = """
from emocatcher.cli import screen
header = ["", "accuracy %, last", "UAR %", "macro F1 %", "accuracy %, both epochs", "accuracy %, best on test"]
screen.table(header, [["95% interval (speakers)", "11.67-18.33", "10.94-17.19", "5.69", "15.83 ± 1.67", "17.50"]])
"""
PROGRESS = """
import time
from emocatcher.cli import screen
with screen.progress(unit="files") as start:
    advance = start("predict")
    advance(1, TOTAL, "loss 2.260, test 15.0%")
    time.sleep(0.3)
    screen.console(stderr=True).print("Warning: a line beside the bar")
    advance(985, TOTAL, "loss 2.260, test 15.0%")
"""


def in_terminal(program: str, width: int) -> str:
    """Run a program in a terminal of this width; return what it wrote."""
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (50, width))
    environment = os.environ | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    environment = {name: value for name, value in environment.items() if name not in {"COLUMNS", "NO_COLOR"}}
    with subprocess.Popen([sys.executable, "-c", program], stdout=side, stderr=side, env=environment) as running:
        os.close(side)
        written = b""
        while True:
            try:
                piece = os.read(main, 1 << 16)
            except OSError:  # the end, on Linux
                break
            if not piece:
                break
            written += piece
    os.close(main)
    assert running.returncode == 0, written.decode()
    return written.decode()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_numbers_are_never_broken(width: int) -> None:
    text = plain(in_terminal(TABLE, width))
    for number in ("11.67-18.33", "10.94-17.19", "5.69", "15.83 ± 1.67", "17.50"):
        assert number in text
    assert all(len(line) <= width for line in text.splitlines())
    assert text.count("95%") == (1 if width >= 80 else 2)


@pytest.mark.parametrize("width", [60, 80])
def test_a_line_beside_a_bar_stands_alone_and_the_bar_keeps_its_numbers(width: int) -> None:
    text = plain(in_terminal(PROGRESS.replace("TOTAL", "1440"), width))
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    assert "Warning: a line beside the bar" in lines
    (*_, last) = [line for line in lines if line.startswith("predict")]
    assert " 985/1440 " in last
    assert "loss 2.260, test 15.0%" in last
    assert "…" not in text


def test_an_unknown_total_is_not_shown() -> None:
    text = plain(in_terminal(PROGRESS.replace("TOTAL", "None"), 80))
    assert "985 files" in text
    assert "985/" not in text
    assert "left" not in text


def test_rows_printed_in_a_terminal_have_no_bar_between_them(small_run) -> None:
    clips = [str(utterance.path) for utterance in small_run.corpus.utterances[:3]]
    program = f"import sys\nsys.argv = ['emocatcher', 'predict', *{clips}, '--format', 'jsonl']\n"
    text = in_terminal(program + "from emocatcher.cli import main\nmain()", 10_000)
    assert len(text.splitlines()) == 3
    assert all(line.startswith('{"schema_version"') for line in text.splitlines())


def test_lines_of_recordings_have_columns(small_run, tmp_path: Path) -> None:
    clips = [str(utterance.path) for utterance in small_run.corpus.utterances[:3]]
    missing = str(tmp_path / "none.wav")
    program = f"import sys\nsys.argv = ['emocatcher', 'predict', *{[*clips, missing]}]\n"
    program += "from emocatcher.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    lines = plain(in_terminal(program, 40)).splitlines()
    starts = {line.index(clip) for clip in [*clips, missing] for line in lines if clip in line}
    assert len(starts) == 1
    assert all(line[next(iter(starts)) - 1] == " " for line in lines[:4])
