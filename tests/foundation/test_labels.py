import re

import numpy as np
import pytest

from emocatcher.foundation.labels import COLOURS, EMOTIONS, colours, terminal_colours


def test_every_emotion_has_a_unique_colour():
    assert tuple(COLOURS) == EMOTIONS
    assert len(set(COLOURS.values())) == len(EMOTIONS)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS.values())


def test_the_emotions_are_in_the_order_of_ravdess_file_names():
    assert EMOTIONS.index("neutral") == 0
    assert EMOTIONS[4:] == ("angry", "fearful", "disgust", "surprised")


def test_known_emotions_keep_their_colour_in_any_label_set():
    mixed = colours(["bored", "sad", "elated", "neutral"])
    assert list(mixed) == ["bored", "sad", "elated", "neutral"]
    assert (mixed["sad"], mixed["neutral"]) == (COLOURS["sad"], COLOURS["neutral"])
    assert len(set(mixed.values())) == 4
    assert colours(EMOTIONS) == COLOURS
    assert colours([]) == {}


def test_any_number_of_unknown_labels_get_colours():
    unknown = [f"label {i}" for i in range(40)]
    given = colours(unknown)
    assert list(given) == unknown
    assert not set(given.values()) & set(COLOURS.values())
    assert len({given[label] for label in unknown[:8]}) == 8


def test_neighbouring_colours_differ_visibly():
    """In OKLab, 0.02 is just noticeable; a legend is read with ease from about three times that."""
    given = list(colours([*EMOTIONS, *(f"label {i}" for i in range(16))]).values())
    silence, paper = "#E4E4E4", "#FFFFFF"
    lab = _oklab([*given, silence, paper])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[: len(given)]
    assert apart[apart > 0].min() > 0.07
    assert len(set(given)) == 24


@pytest.mark.parametrize("background", ["#000000", "#FFFFFF"])
def test_terminal_colours_are_visible_on_black_and_on_white(background):
    labels = [*EMOTIONS, *(f"label {i}" for i in range(16))]
    given = terminal_colours(labels)
    assert list(given) == labels
    assert len(set(given.values())) == len(labels)
    assert all(_contrast(colour, background) >= 3 for colour in given.values())


def test_terminals_of_256_colours_show_terminal_colours_unchanged():
    steps = {"00", "5F", "87", "AF", "D7", "FF"}  # of the colour cube that xterm and all others since have
    given = terminal_colours([*EMOTIONS, *(f"label {i}" for i in range(16))]).values()
    assert all({colour[1:3], colour[3:5], colour[5:7]} <= steps for colour in given)


def _linear(colours_: list[str]) -> np.ndarray:
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours_])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _contrast(one: str, other: str) -> float:
    low, high = sorted(_linear([one, other]) @ [0.2126, 0.7152, 0.0722])
    return (high + 0.05) / (low + 0.05)


def _oklab(colours_: list[str]) -> np.ndarray:
    to_lms = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    to_lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.cbrt(_linear(colours_) @ np.transpose(to_lms)) @ np.transpose(to_lab)
