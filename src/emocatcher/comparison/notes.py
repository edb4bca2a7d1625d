"""What must be known before rows are compared: shared speakers, optimistic choices, made voices, other tasks."""

from __future__ import annotations

from collections.abc import Sequence

from emocatcher.comparison.pairs import Pair
from emocatcher.comparison.scores import Row
from emocatcher.report import style

_FEW_SPEAKERS = 10


def notes(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[str]:
    """Sentences to stand above the table, the weightiest first.

    Args:
        rows: in the order in which they are shown.
        pairs: those of them that were tested.
    """
    said = []
    apart = [row.name for row in rows if row.speakers_shared == "no"]
    shared = [row.name for row in rows if row.speakers_shared != "no"]
    if apart and shared:
        said.append(
            f"Not to be compared with each other: {_list(shared)} {_was(shared)} tested on voices heard in training, "
            f"{_list(apart)} on voices never heard. Voices heard before are the easier test by far: what it scores "
            "higher says nothing of the better model."
        )
    elif shared:
        said.append(
            "Speakers are shared, or may be, between training and test in every run here: "
            "none of these scores says how well a new voice is recognised."
        )
    optimistic = [row.name for row in rows if row.optimistic]
    if optimistic:
        said.append(f"{_list(optimistic)}: {style.OPTIMISTIC}, so the scores are too high.")
    synthetic = [row.name for row in rows if row.synthetic]
    if synthetic:
        said.append(
            f"SYNTHETIC: {_list(synthetic)} {_was(synthetic)} trained and tested on voices made by a program, which "
            "says nothing of how well people are recognised."
        )
    if len({frozenset(row.labels) for row in rows}) > 1:
        counts = ", ".join(f"{row.name} {len(row.labels)}" for row in rows)
        said.append(
            f"The runs tell different emotions apart ({counts}): fewer are easier, so compare their recalls of one "
            "emotion at most, not their accuracies."
        )
    if len({row.corpus for row in rows}) > 1:
        said.append("The runs are of different corpora: their scores are not of one task.")
    epochs = sorted({row.n_epochs for row in rows})
    if len(epochs) > 1:
        said.append(f"The runs were trained for different lengths: {', '.join(map(str, epochs))} epochs.")
    few = [row.name for row in rows if row.resampled == "speakers" and row.n_speakers < _FEW_SPEAKERS]
    if few:
        said.append(f"{_list(few)}: fewer than {_FEW_SPEAKERS} test speakers, so the interval is likely too narrow.")
    if any(1 in pair.n_seeds for pair in pairs):
        moved = max((row.accuracy.std or 0.0 for row in rows), default=0.0) * 100
        seen = f": among the runs here, seeds alone spread by ±{moved:.1f} points" if moved else ""
        said.append(f"A test of one seed is of the trained models, not of their recipes{seen}.")
    if len(pairs) > 1:
        said.append(f"{len(pairs)} pairs were tested: about one in twenty would be told apart by chance alone.")
    if len(rows) == 1 and len(rows[0].runs) == 1:
        said.append("One run only: give more folders to compare it with.")
    return said


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"
