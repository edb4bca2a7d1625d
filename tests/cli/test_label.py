"""`emocatcher label`: what is refused before a server starts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'serve'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--labels", "happy"], "Give 2 to 9 different labels"),
        (["--out", "my.json"], "does not end in .csv"),
        (["--model", "no-such-folder"], "no-such-folder"),
        (["missing*.wav"], "matches no file"),
        (["missing.wav"], "missing.wav: no such file or folder"),
        (["--channels", "each"], "Give mix, left, right, or a number"),
        (["--channels", "both"], "Channels 'both'"),
    ],
)
def test_what_cannot_be_labelled_is_refused(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    (tmp_path / "a.wav").touch()
    monkeypatch.chdir(tmp_path)
    outcome = call("label", "a.wav", "--out", "my.csv", "--no-browser", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
