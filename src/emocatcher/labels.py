"""The emotions: their names, their order and their colours."""

from __future__ import annotations

from collections.abc import Sequence

# The order of RAVDESS's file names (01 neutral … 08 surprised), and so of the published network's outputs.
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

# Paul Tol's "muted" scheme and grey: told apart by all common forms of colour blindness
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
_SPARE_COLOURS = ("#AA4499", "#999933", "#0077BB", "#EE7733", "#009988", "#EE3377", "#33BBEE", "#BBBBBB")


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Give every label its colour, the known emotions always their own.

    Args:
        labels: any label set; names that are not among `EMOTIONS` get spare colours in turn.

    Returns:
        label to "#RRGGBB", in the order of `labels`.

    Examples:
        >>> colours(["happy", "bored"])
        {'happy': '#DDCC77', 'bored': '#AA4499'}
    """
    unknown = [label for label in labels if label not in COLOURS]
    spare = {label: _SPARE_COLOURS[i % len(_SPARE_COLOURS)] for i, label in enumerate(unknown)}
    return {label: COLOURS.get(label) or spare[label] for label in labels}
