"""Terminal output shared by the commands: its colours are visible on every background."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emocatcher.corpora.synthetic import generate

Call = Callable[..., Any]
_STEPS = (0, 95, 135, 175, 215, 255)  # of the colour cube of a terminal with 256 colours


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voice")
    generate(folder, n_voices=1)
    return sorted(folder.rglob("*.wav"))[0]


def _foregrounds(out: str) -> Iterator[tuple[int, ...]]:
    """Find the text colours in terminal output: RGB, or a single number for one of the 16 colours of the user."""
    for codes in re.findall(r"\x1b\[([\d;]*)m", out):
        parts = [int(part or 0) for part in codes.split(";")]
        while parts:
            code = parts.pop(0)
            if code == 38 and parts[0] == 2:
                yield tuple(parts[1:4])
                del parts[:4]
            elif code == 38:
                yield _of_256(parts[1])
                del parts[:2]
            elif 30 <= code <= 37 or 90 <= code <= 97:
                yield (code,)


def _of_256(number: int) -> tuple[int, ...]:
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    place = number - 16
    assert place >= 0, "a colour of the user"
    return _STEPS[place // 36], _STEPS[place // 6 % 6], _STEPS[place % 6]


def _luminance(rgb: tuple[int, ...]) -> float:
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("command", ["predict", "timeline", "info"])
@pytest.mark.parametrize(
    ("environment", "has_palette"),
    [
        ({"TERM": "xterm", "COLORTERM": ""}, False),
        ({"TERM": "xterm-256color", "COLORTERM": ""}, True),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, True),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_have_contrast_on_black_and_on_white(
    call: Call,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    environment: dict[str, str],
    has_palette: bool,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"FORCE_COLOR": "1", **environment}.items():
        monkeypatch.setenv(name, value)
    outcome = call(command, *([] if command == "info" else [clip]))
    assert outcome.code == 0
    found = set(_foregrounds(outcome.out))
    assert "\x1b[" in outcome.out
    assert bool(found) == has_palette  # the 16 colours are the user's own, so none of them is known to be visible
    for rgb in found:
        assert len(rgb) == 3, f"{rgb} is one of the 16 colours of the user"
        assert (_luminance(rgb) + 0.05) / 0.05 >= 3, f"{rgb} on black"
        assert 1.05 / (_luminance(rgb) + 0.05) >= 3, f"{rgb} on white"
    if command != "info":
        assert "█" in outcome.out or "▏" in outcome.out
