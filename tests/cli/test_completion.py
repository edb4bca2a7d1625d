"""The shell completes names after the options that take them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXPECTED = {
    "emocatcher tra": ["train"],
    "emocatcher train --preset ": ["cabg", "emocatcher-2"],
    "emocatcher train --protocol emo": ["emobox-6"],
    "emocatcher audit --protocol sp": ["speakers-5"],
    "emocatcher evaluate m --protocol man": ["manifest"],
    "emocatcher train --corpus ": ["ravdess", "synthetic"],
    "emocatcher check rav": ["ravdess"],
    "emocatcher predict a.wav --model ": ["emocatcher-3", "cabg", "emocatcher-2", "emocatcher-3-free"],
    "emocatcher info emo": ["emocatcher-3", "emocatcher-2", "emocatcher-3-free"],
    "emocatcher predict a.wav --format ": ["json", "jsonl", "csv", "parquet"],
    "emocatcher timeline a.wav --format te": ["textgrid"],
    "emocatcher train --set optimiser.learning": ["optimiser.learning_rate="],
    "emocatcher serve --limit que": ["queue="],
    "emocatcher train --corpus my/ta": [],  # then the shell completes files
}
PROGRAM = """
import contextlib, io, json, os, sys
from emocatcher.cli import main
sys.argv[0], found = "emocatcher", {}
for line in json.load(sys.stdin):
    os.environ |= {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main()
    found[line] = shown.getvalue().split()
print(json.dumps(found))
"""

PROGRAM_OF_BASH = "#!{}\nfrom emocatcher.cli import main\nmain()\n"


@pytest.fixture(scope="module")
def completed() -> dict[str, list[str]]:
    """What a shell gets for each line; from one process, to save time."""
    environment = os.environ | {"_EMOCATCHER_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(list(EXPECTED)), env=environment, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("line", EXPECTED)
def test_values_are_completed(completed: dict[str, list[str]], line: str) -> None:
    expected = EXPECTED[line]
    assert [name for name in completed[line] if name in expected or not expected] == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script_that_is_printed(tmp_path: Path) -> None:
    script = """
        ./emocatcher --show-completion > shown; . ./shown
        complete -p emocatcher; COMP_WORDS=(emocatcher tra); COMP_CWORD=1
        _emocatcher_completion ./emocatcher; echo "${COMPREPLY[@]}"
    """
    (tmp_path / "emocatcher").write_text(PROGRAM_OF_BASH.format(sys.executable))
    (tmp_path / "emocatcher").chmod(0o755)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[1:] == ["train"], done.stderr
