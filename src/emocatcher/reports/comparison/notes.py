"""Notes to read before comparing rows: shared speakers, optimistic choices, synthetic voices, different tasks."""

from __future__ import annotations

from collections.abc import Sequence

from emocatcher.reports.comparison.pairs import Pair
from emocatcher.reports.comparison.scores import Row
from emocatcher.reports.run_report import style

_FEW_SPEAKERS = 10


def notes(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[str]:
    """Return the sentences above the table, the most important first.

    Args:
        rows: in display order.
        pairs: the pairs of rows that were tested.
    """
    sentences = []
    separate = [row.name for row in rows if row.speakers_shared == "no"]
    shared = [row.name for row in rows if row.speakers_shared != "no"]
    if separate and shared:
        sentences.append(
            f"Do not compare these with each other: {_list(shared)} {_was(shared)} tested on speakers of the training "
            f"part, {_list(separate)} on unseen speakers. Speakers seen in training are a far easier test, so a higher "
            "score there does not show a better model."
        )
    elif shared:
        sentences.append(
            "Every run here shares speakers between training and test, or may do so: "
            "none of these scores shows how well unseen speakers are recognised."
        )
    optimistic = [row.name for row in rows if row.optimistic]
    if optimistic:
        sentences.append(f"{_list(optimistic)}: {style.OPTIMISTIC}, so the scores are too high.")
    synthetic = [row.name for row in rows if row.synthetic]
    if synthetic:
        sentences.append(
            f"SYNTHETIC: {_list(synthetic)} {_was(synthetic)} trained and tested on synthetic voices, so the scores do "
            "not show how well emotions in human speech are recognised."
        )
    if len({frozenset(row.labels) for row in rows}) > 1:
        counts = ", ".join(f"{row.name} {len(row.labels)}" for row in rows)
        easier = " Fewer emotions are easier." if len({len(row.labels) for row in rows}) > 1 else ""
        sentences.append(
            f"The runs have different emotions ({counts}).{easier} Do not compare accuracies; compare at most the "
            "recall of an emotion that both have."
        )
    if len({row.corpus for row in rows}) > 1:
        sentences.append("The runs are of different corpora, so their scores are not for the same task.")
    epochs = sorted({row.n_epochs for row in rows})
    if len(epochs) > 1:
        sentences.append(f"The runs were trained for different lengths: {', '.join(map(str, epochs))} epochs.")
    few = [row.name for row in rows if row.resampled == "speakers" and row.n_speakers < _FEW_SPEAKERS]
    if few:
        sentences.append(
            f"{_list(few)}: fewer than {_FEW_SPEAKERS} test speakers, so the interval is likely too narrow."
        )
    if any(1 in pair.n_seeds for pair in pairs):
        std = max((row.accuracy.std or 0.0 for row in rows), default=0.0) * 100
        found = f"; among these runs, seeds alone give a standard deviation of up to {std:.1f} points" if std else ""
        sentences.append(f"A test with one seed compares the trained models, not their recipes{found}.")
    if len(pairs) > 1:
        sentences.append(f"{len(pairs)} pairs were tested: by chance alone, about one in twenty would be significant.")
    if len(rows) == 1 and len(rows[0].runs) == 1:
        sentences.append("One run only: give more run folders to compare it with.")
    return sentences


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"
