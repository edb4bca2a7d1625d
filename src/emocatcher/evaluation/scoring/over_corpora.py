"""Average the UAR over corpora, each of which counts equally, with an interval by drawing within each corpus."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emocatcher.evaluation.scoring import bootstrap, metrics
from emocatcher.evaluation.scoring.run_result import OverCorpora


class Answers(NamedTuple):
    """The answers of one model on one corpus."""

    true: npt.NDArray[np.int64]  # (n_utterances,), positions in the labels
    predicted: npt.NDArray[np.int64]  # (n_utterances,)
    speakers: Sequence[str | None] | npt.NDArray[Any] | None  # (n_utterances,); None where unknown
    corpus: str  # tested on


def average(answers: Sequence[Answers], chances: Sequence[float], n_classes: int) -> OverCorpora:
    """Average the UAR over corpora.

    Args:
        answers: of one or more models and corpora; each counts equally, whatever its number of utterances.
        chances: the UAR of any guess on each.
        n_classes: number of classes.

    Examples:
        >>> easy = Answers(np.array([0, 1]), np.array([0, 1]), None, "easy")
        >>> hard = Answers(np.array([0, 1] * 50), np.array([1, 0] * 50), None, "hard")
        >>> average([easy, hard], [0.5, 0.5], 2).unweighted_average_recall
        0.5
    """
    scores, draws, resampled = [], [], set()
    for one in answers:
        confusion = metrics.confusion_matrix(one.true, one.predicted, n_classes)
        scores.append(metrics.unweighted_average_recall_score(confusion))
        cells = one.true * n_classes + one.predicted
        of = bootstrap.clusters(one.speakers, len(one.true), alike=cells, n_alike=n_classes**2)
        resampled.add(of.resampled)
        per_cluster = metrics.confusions_by_cluster(one.true, one.predicted, of, n_classes)

        def unweighted(times_drawn: bootstrap.Rates, confusions: bootstrap.Counts = per_cluster) -> bootstrap.Rates:
            return metrics.resampled_scores(times_drawn, confusions)[:, 1]

        # Corpora are drawn independently of each other, and the speakers of one corpus alike for all models.
        draws.append(bootstrap.resample(of, unweighted, seed=zlib.crc32(one.corpus.encode())))
    return OverCorpora(
        unweighted_average_recall=float(np.mean(scores)),
        unweighted_average_recall_interval=bootstrap.interval(np.mean(draws, axis=0)),
        chance=float(np.mean(chances)),
        n_folds=len(answers),
        level=bootstrap.LEVEL,
        resampled="speakers" if resampled == {"speakers"} else "utterances",
    )
