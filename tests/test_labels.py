import re

from emocatcher.labels import COLOURS, EMOTIONS, colours


def test_every_emotion_has_one_colour_of_its_own():
    assert tuple(COLOURS) == EMOTIONS
    assert len(set(COLOURS.values())) == len(EMOTIONS)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS.values())


def test_the_order_is_that_of_ravdess_file_names():
    assert EMOTIONS.index("neutral") == 0
    assert EMOTIONS[4:] == ("angry", "fearful", "disgust", "surprised")


def test_known_emotions_keep_their_colour_in_any_company():
    mixed = colours(["bored", "sad", "elated", "neutral"])
    assert list(mixed) == ["bored", "sad", "elated", "neutral"]
    assert (mixed["sad"], mixed["neutral"]) == (COLOURS["sad"], COLOURS["neutral"])
    assert len(set(mixed.values())) == 4
    assert colours(EMOTIONS) == COLOURS
    assert colours([]) == {}


def test_any_number_of_strange_labels_has_colours():
    strange = [f"label {i}" for i in range(40)]
    given = colours(strange)
    assert list(given) == strange
    assert not set(given.values()) & set(COLOURS.values())
    assert len({given[label] for label in strange[:8]}) == 8
