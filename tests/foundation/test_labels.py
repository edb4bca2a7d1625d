import re

from emocatcher.foundation.labels import COLOURS, EMOTIONS, colours


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
