"""The emotions: names, other spellings, order and colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

# The order of the codes in RAVDESS's file names (01 neutral … 08 surprised), which the published network's outputs use.
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

# In lower case. Calm has no entry of another emotion: whether it counts as neutral is a protocol's choice.
ALIASES = {
    "neutral": ("neutrality", "neu"),
    "calm": ("calmness",),
    "happy": ("happiness", "joy", "joyful", "hap"),
    "sad": ("sadness",),
    "angry": ("anger", "ang"),
    "fearful": ("fear", "fea"),
    "disgust": ("disgusted", "dis", "disqust"),  # the last is KEMDy20's spelling
    "surprised": ("surprise", "sur", "ps", "pleasant surprise", "pleasant_surprise"),
}
_EMOTION_OF = {alias: emotion for emotion in EMOTIONS for alias in (emotion, *ALIASES[emotion])}

# Paul Tol's "muted" scheme and grey, which people with all common forms of colour blindness can distinguish
# (Tol 2021, "Colour schemes", SRON/EPS/TN/09-002, section 2).
COLOURS = {
    "neutral": "#888888",
    "calm": "#44AA99",
    "happy": "#DDCC77",
    "sad": "#332288",
    "angry": "#CC6677",
    "fearful": "#882255",
    "disgust": "#117733",
    "surprised": "#88CCEE",
}
# For all other labels, in the order of their first use. Each was chosen as the colour that is farthest in OKLab from
# the emotions' colours, white, black, the grey of silence and the spare colours before it, for normal vision and for
# the three forms of colour blindness together (simulated as in Machado et al. 2009, severity 1).
SPARE_COLOURS = (
    "#8844BB", "#88BB22", "#BB2277", "#6677EE", "#AA8800", "#CC88FF", "#444400", "#FF77BB",
    "#660066", "#EEAA88", "#22BBCC", "#442244", "#CC66CC", "#7766AA", "#224488", "#FF6666",
)  # fmt: skip

# The nearest colours that every terminal of 256 colours has and whose contrast with black and with white is at least
# 3:1, the minimum of WCAG 2.2 (1.4.11) for graphics: the background of a terminal is not known.
_TERMINAL_COLOURS = {
    "neutral": "#878787",
    "calm": "#008787",
    "happy": "#AF8700",
    "sad": "#5F5FAF",
    "angry": "#D75F5F",
    "fearful": "#AF5F87",
    "disgust": "#008700",
    "surprised": "#5F87AF",
}
_SPARE_TERMINAL_COLOURS = (
    "#AF5FD7", "#5F8700", "#D70087", "#5F87FF", "#875F00", "#D75FD7", "#5F5F00", "#D75FAF",
    "#AF0087", "#AF875F", "#0087AF", "#875F87", "#AF5FAF", "#8787D7", "#005FAF", "#D70000",
)  # fmt: skip


def canonical(label: str) -> str | None:
    """Return the emotion that a label names, in any case; None if it names none of the eight.

    Examples:
        >>> canonical("anger"), canonical(" HAPPY "), canonical("ps"), canonical("bored")
        ('angry', 'happy', 'surprised', None)
    """
    return _EMOTION_OF.get(_folded(label))


def spelling(label: str, known: Collection[str] = ()) -> str:
    """Return the known label that a label is a spelling of; without one, the emotion that it names, or itself.

    Two texts are spellings of one label if they differ in case, in blanks at an end, in how many blanks are between
    two words, or in the Unicode form of their letters, or if both are names of one emotion. Nothing else is joined:
    whether calm is neutral, or excited happy, is for the user to decide.

    Args:
        label: as it was given.
        known: labels that are known, such as those of a model.

    Examples:
        >>> spelling("ANGER"), spelling(" so  Annoyed"), spelling("Happy", ("joy",)), spelling("calm", ("neutral",))
        ('angry', 'so Annoyed', 'joy', 'calm')
    """
    if label in known:
        return label
    same = [one for one in known if _key(one) == _key(label)]
    return same[0] if same else canonical(label) or _tidy(label)


def one_spelling(counts: Mapping[str, int]) -> dict[str, str]:
    """Choose one spelling for each label: the name of the emotion, or the most frequent spelling.

    Args:
        counts: how often each spelling occurs. Of equally frequent ones, the one in lower case is chosen.

    Returns:
        the given spelling → the chosen one.

    Examples:
        >>> one_spelling({"anger": 3, "Annoyed": 1, "annoyed ": 2, "calm": 4})
        {'anger': 'angry', 'Annoyed': 'annoyed', 'annoyed ': 'annoyed', 'calm': 'calm'}
    """
    chosen: dict[str, str] = {}
    for one in sorted(counts, key=lambda one: (counts[one], one)):  # small letters are behind capitals
        chosen[_key(one)] = canonical(one) or _tidy(one)
    return {one: chosen[_key(one)] for one in counts}


def ordered(present: Iterable[str]) -> tuple[str, ...]:
    """Return different labels in the order of a model's outputs: the emotions as in `EMOTIONS`, then others, sorted.

    Examples:
        >>> ordered(["bored", "sad", "awed", "happy", "sad"])
        ('happy', 'sad', 'awed', 'bored')
    """
    found = set(present)
    return (*(emotion for emotion in EMOTIONS if emotion in found), *sorted(found.difference(EMOTIONS)))


def _tidy(label: str) -> str:
    return " ".join(unicodedata.normalize("NFC", label).split())


def _folded(label: str) -> str:
    return unicodedata.normalize("NFC", _tidy(label).casefold())


def _key(label: str) -> str:
    """Return a text that all spellings of a label have in common."""
    folded = _folded(label)
    return _EMOTION_OF.get(folded, folded)


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Map every label to a colour; the emotions in `EMOTIONS` always have the same one.

    Args:
        labels: any label set; labels that are not in `EMOTIONS` get spare colours in turn.

    Returns:
        label → "#RRGGBB", in the order of `labels`.

    Examples:
        >>> colours(["happy", "bored"])
        {'happy': '#DDCC77', 'bored': '#8844BB'}
    """
    return _choose(labels, COLOURS, SPARE_COLOURS)


def terminal_colours(labels: Sequence[str]) -> dict[str, str]:
    """Map every label to a colour that is visible in a terminal, on black and on white alike.

    Args:
        labels: any label set.

    Returns:
        label → "#RRGGBB", in the order of `labels`; close to the colours of `colours`.

    Examples:
        >>> terminal_colours(["happy", "bored"])
        {'happy': '#AF8700', 'bored': '#AF5FD7'}
    """
    return _choose(labels, _TERMINAL_COLOURS, _SPARE_TERMINAL_COLOURS)


def _choose(labels: Sequence[str], known: Mapping[str, str], spares: Sequence[str]) -> dict[str, str]:
    unknown = [label for label in labels if label not in known]
    spare = {label: spares[i % len(spares)] for i, label in enumerate(unknown)}
    return {label: known.get(label) or spare[label] for label in labels}
