"""Texts of others reach the terminal without control characters."""

from typing import Any

import msgspec
import pytest
from rich.text import Text

from emocatcher.cli import card, screen
from emocatcher.recognition.prediction import Caution
from emocatcher.recognition.recognizer import load

# Colour, a window title by OSC, a bell, a C1 sequence, text written from right to left, a byte that is not text.
HOSTILE = "\x1b[31m\x1b]0;title\x07\x9b2J\u202egnp.exe\u2066\udcff"


def assert_harmless(shown: str) -> None:
    assert all(one.isprintable() or one == "\n" for one in shown), repr(shown)


def test_every_way_to_print_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    screen.console().print(f"{HOSTILE}\nError: forged", markup=False)
    screen.console().print(Text(HOSTILE))
    screen.table((HOSTILE, "n"), [(HOSTILE, "1")])
    screen.list_table((HOSTILE, "n"), [(HOSTILE, "1")])
    with screen.progress() as start:
        start(HOSTILE)(1, 1, HOSTILE)
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert_harmless(shown)
    assert shown.count("\\x1b[31m") == 8
    assert "\nError: forged" not in shown


def test_json_has_no_control_characters_and_decodes_to_the_same(capfdbinary: Any) -> None:
    text = HOSTILE[:-1]  # JSON is UTF-8
    screen.print_json({"name": text}, indent=True)
    out = capfdbinary.readouterr().out
    assert_harmless(out.decode())
    assert msgspec.json.decode(out) == {"name": text}


def test_markup_of_others_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    screen.console().print("[red]x[/red]")
    assert capsys.readouterr().out == "[red]x[/red]\n"


def test_the_card_escapes_labels_model_and_messages(capsys: pytest.CaptureFixture[str], small_run: Any) -> None:
    found = load(small_run.folder / "fold_0" / "last").predict(small_run.corpus.utterances[0].path)
    renamed = {f"{label}{HOSTILE}": value for label, value in found.probabilities.items()}
    hostile = msgspec.structs.replace(
        found, path=HOSTILE, emotion=found.emotion + HOSTILE, probabilities=renamed,
        warnings=(Caution("clipped", HOSTILE),),
    )  # fmt: skip
    card.show(hostile, screen.console())
    shown = capsys.readouterr().out
    assert_harmless(shown)
    assert shown.count("\\x1b[31m") > 3
