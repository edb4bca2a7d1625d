"""The shell completes names after the options that take them."""

import os
import subprocess
import sys

import pytest


def complete(line: str) -> list[str]:
    environment = os.environ | {
        "_EMOCATCHER_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }
    program = "import sys; sys.argv[0] = 'emocatcher'; from emocatcher.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("emocatcher tra", ["train"]),
        ("emocatcher train --preset ", ["cabg", "emocatcher-2"]),
        ("emocatcher train --protocol emo", ["emobox-6"]),
        ("emocatcher audit --protocol sp", ["speakers-5"]),
        ("emocatcher evaluate m --protocol man", ["manifest"]),
        ("emocatcher train --corpus ", ["ravdess", "synthetic"]),
        ("emocatcher check rav", ["ravdess"]),
        ("emocatcher predict a.wav --model ", ["emocatcher-2", "cabg"]),
        ("emocatcher info emo", ["emocatcher-2"]),
        ("emocatcher predict a.wav --format ", ["json", "jsonl", "csv", "parquet"]),
        ("emocatcher timeline a.wav --format te", ["textgrid"]),
        ("emocatcher train --set optimiser.learning", ["optimiser.learning_rate="]),
        ("emocatcher serve --limit que", ["queue="]),
        ("emocatcher train --corpus my/ta", []),  # then the shell completes files
    ],
)
def test_values_are_completed(line: str, expected: list[str]) -> None:
    assert [name for name in complete(line) if name in expected or not expected] == expected
