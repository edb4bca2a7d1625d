"""The emotions: names, order and colours."""

from __future__ import annotations

from collections.abc import Sequence

# The order of the codes in RAVDESS's file names (01 neutral … 08 surprised), which the published network's outputs use.
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

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
_SPARE_COLOURS = ("#AA4499", "#999933", "#0077BB", "#EE7733", "#009988", "#EE3377", "#33BBEE", "#BBBBBB")


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Map every label to a colour; the emotions in `EMOTIONS` always have the same one.

    Args:
        labels: any label set; labels that are not in `EMOTIONS` get spare colours in turn.

    Returns:
        label → "#RRGGBB", in the order of `labels`.

    Examples:
        >>> colours(["happy", "bored"])
        {'happy': '#DDCC77', 'bored': '#AA4499'}
    """
    unknown = [label for label in labels if label not in COLOURS]
    spare = {label: _SPARE_COLOURS[i % len(_SPARE_COLOURS)] for i, label in enumerate(unknown)}
    return {label: COLOURS.get(label) or spare[label] for label in labels}
