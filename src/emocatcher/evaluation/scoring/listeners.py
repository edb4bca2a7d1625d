"""Score the majority of a corpus's listeners, by voice alone, on the same clips as a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.corpora.table import Utterance
from emocatcher.evaluation.scoring import metrics
from emocatcher.evaluation.scoring.run_result import Estimate, Listeners


def score(
    utterances: Sequence[Utterance],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    labels: Sequence[str],
    *,
    scored: NDArray[np.bool_] | None = None,
    corpus: str,
) -> tuple[Listeners, ...]:
    """Score the listeners' majority and a model on the utterances of each corpus that have listeners.

    Args:
        utterances: the tested ones.
        true: shape (n_utterances,), integer positions in `labels`.
        predicted: the same for the model's answers.
        labels: names of the classes.
        scored: shape (n_utterances, n_classes), the classes that the model could answer; only votes for these count.
            None for all.
        corpus: the name of the corpus, for utterances that name none.
    """
    by_label = [dict(utterance.listeners) for utterance in utterances]
    votes = np.array([[one.get(label, 0) for label in labels] for one in by_label])
    if scored is not None:
        votes *= scored
    corpora = np.array([(utterance.corpus or corpus) if utterance.listeners else "" for utterance in utterances])
    speakers = np.array([utterance.speaker for utterance in utterances], dtype=object)
    chosen = majority(votes)
    found = []
    for name in dict.fromkeys(corpora.tolist()):
        if not name:
            continue
        here = corpora == name
        theirs = _estimates(true[here], chosen[here], speakers[here], len(labels))
        ours = _estimates(true[here], predicted[here], speakers[here], len(labels))
        found.append(
            Listeners(
                corpus=name,
                n_utterances=int(here.sum()),
                n_tied=int((chosen[here] == len(labels)).sum()),
                votes_per_utterance=float(votes[here].sum(axis=1).mean()),
                accuracy=theirs[0],
                unweighted_average_recall=theirs[1],
                run_accuracy=ours[0],
                run_unweighted_average_recall=ours[1],
                resampled=theirs[2],
            )
        )
    return tuple(found)


def majority(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class with the most votes of each utterance, shape (n_utterances,).

    Args:
        votes: shape (n_utterances, n_classes), counts.

    Returns:
        positions of the classes; n_classes, which is none of them, where two or more have the most votes.

    Examples:
        >>> majority(np.array([[1, 5, 2], [3, 3, 0], [0, 0, 0]])).tolist()
        [1, 3, 3]
    """
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return np.asarray(np.where(tied, votes.shape[1], votes.argmax(axis=1)), np.int64)


def _estimates(
    true: NDArray[np.int64], answers: NDArray[np.int64], speakers: NDArray[Any], n_classes: int
) -> tuple[Estimate, Estimate, str]:
    """Estimate accuracy and UAR; a tie is a further class, which no utterance has."""
    confusion = metrics.confusion_matrix(true, answers, n_classes + 1)
    intervals = metrics.bootstrap_intervals(true, answers, speakers.tolist(), n_classes + 1)
    return (
        Estimate(metrics.accuracy_score(confusion), intervals.accuracy),
        Estimate(metrics.unweighted_average_recall_score(confusion), intervals.unweighted_average_recall),
        intervals.resampled,
    )
