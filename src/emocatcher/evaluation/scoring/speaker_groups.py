"""Score groups of speakers by sex, age, race and ethnicity: for whom a model works."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emocatcher.corpora.table import Utterance
from emocatcher.evaluation.scoring import bootstrap, metrics
from emocatcher.evaluation.scoring.run_result import Estimate, SpeakerGroup

LEAST_SPEAKERS = 5  # a group of fewer is counted, not scored: its interval would be too narrow
TRAITS = ("sex", "age", "race", "ethnicity")
_AGE_BANDS = ((30, "under 30"), (45, "30 to 44"), (60, "45 to 59"))  # years that a band ends before
_OLDEST = "60 and above"


def age_band(age: int) -> str:
    """Return the band of an age in years.

    Examples:
        >>> age_band(29), age_band(30), age_band(59), age_band(60)
        ('under 30', '30 to 44', '45 to 59', '60 and above')
    """
    return next((name for end, name in _AGE_BANDS if age < end), _OLDEST)


def score(
    utterances: Sequence[Utterance],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    n_classes: int,
    *,
    answered: NDArray[np.bool_] | None,
    corpus: str,
) -> tuple[SpeakerGroup, ...]:
    """Score the answers on each group of each tested corpus, with intervals by drawing the speakers of the group.

    Args:
        utterances: the tested ones.
        true: shape (n_utterances,), integer classes in 0..n_classes - 1.
        predicted: the same for the predicted classes.
        n_classes: number of classes.
        answered: shape (n_utterances,), whether the model did not abstain; None if it has no threshold.
        corpus: the name of the corpus, for utterances that name none.

    Returns:
        the groups by corpus and trait. A trait is left out where the corpus does not know it, or all speakers are
        alike. Groups of fewer than `LEAST_SPEAKERS` have no scores.
    """
    speakers = np.array([utterance.speaker or "" for utterance in utterances])
    corpora = np.array([utterance.corpus or corpus for utterance in utterances])
    found = []
    for name in dict.fromkeys(corpora.tolist()):
        for trait in TRAITS:
            values = np.array([_value(utterance, trait) for utterance in utterances])
            values[(corpora != name) | (speakers == "")] = ""
            groups = _in_order(set(values.tolist()) - {""})
            for group in groups if len(groups) > 1 else ():
                chosen = values == group
                n_speakers = len(np.unique(speakers[chosen]))
                scored = n_speakers >= LEAST_SPEAKERS
                found.append(
                    SpeakerGroup(
                        corpus=name,
                        trait=trait,
                        name=group,
                        n_speakers=n_speakers,
                        n_utterances=int(chosen.sum()),
                        unweighted_average_recall=(
                            _recall(true[chosen], predicted[chosen], speakers[chosen], n_classes) if scored else None
                        ),
                        share_answered=(
                            _share(answered[chosen], speakers[chosen]) if scored and answered is not None else None
                        ),
                    )
                )
    return tuple(found)


def _value(utterance: Utterance, trait: str) -> str:
    if trait == "age":
        return "" if utterance.age is None else age_band(utterance.age)
    return getattr(utterance, {"sex": "gender"}.get(trait, trait)) or ""


def _in_order(groups: set[str]) -> list[str]:
    bands = [*(name for _, name in _AGE_BANDS), _OLDEST]
    return [band for band in bands if band in groups] + sorted(groups.difference(bands))


def _recall(
    true: NDArray[np.int64], predicted: NDArray[np.int64], speakers: NDArray[np.str_], n_classes: int
) -> Estimate:
    confusion = metrics.confusion_matrix(true, predicted, n_classes)
    intervals = metrics.bootstrap_intervals(true, predicted, speakers, n_classes)
    return Estimate(metrics.unweighted_average_recall_score(confusion), intervals.unweighted_average_recall)


def _share(answered: NDArray[np.bool_], speakers: NDArray[np.str_]) -> Estimate:
    of = bootstrap.clusters(speakers, len(speakers))
    return Estimate(float(answered.mean()), bootstrap.interval(bootstrap.resample_means(of, answered)))
