"""What a model is adapted to: which labels it will have, which recordings count, and how they are divided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.corpora import votes
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.labels import spelling
from emocatcher.recognition import settling

FEWEST = 8  # recordings of a label that the model does not know, and recordings in all
MOST = 20_000  # recordings; more are better used for training
_MOST_FOLDS = 5


class Folds(NamedTuple):
    """How validation divides recordings."""

    of: NDArray[np.int64]  # (n_recordings,), the fold in which each is tested
    validated_by: Literal["speakers", "recordings"]


def choose(corpus: Corpus, labels: Sequence[str], known: Sequence[str]) -> tuple[Corpus, list[str]]:
    """Take the recordings whose labels the adapted model will have.

    Args:
        corpus: the recordings.
        labels: of the adapted model; none for those of the recordings. Some may have no recording, if the model knows
            them.
        known: the labels of the model as it is.

    Returns:
        the recordings, with the model's spelling of their labels, and its labels; notes on what was left out.

    Raises:
        CorpusError: if the recordings do not suffice.
    """
    wanted = list(dict.fromkeys(spelling(label, (*known, *corpus.labels)) for label in labels))
    named = [_spelt(one, known) for one in corpus.utterances]
    used = [one for one in named if not wanted or one.emotion in wanted]
    counts = Counter(one.emotion for one in used)
    notes = []
    if left_out := Counter(one.emotion for one in named if wanted and one.emotion not in wanted):
        listed = ", ".join(f"{n} of '{label}'" for label, n in sorted(left_out.items()))
        have = votes.recordings(left_out.total(), "has a label", "have labels")
        notes.append(f"{have} that --labels does not name: {listed}")
    order = wanted or [*(label for label in known if label in counts), *sorted(set(counts).difference(known))]
    if len(counts) < 2:
        what = f"all have the label '{next(iter(counts))}'" if counts else "none has one of the labels"
        raise CorpusError(
            f"{votes.recordings(len(used))}, and {what}. To adapt, recordings of two or more labels are needed; for "
            "recordings without labels, use --unlabelled"
        )
    few = [label for label in order if label not in known and counts[label] < FEWEST]
    if few:
        listed = ", ".join(f"'{label}' has {votes.recordings(counts[label])}" for label in few)
        raise CorpusError(
            f"{listed}, and a label that the model does not know needs {FEWEST}. Record more, or leave it "
            "out with --labels"
        )
    if len(used) < FEWEST:
        raise CorpusError(
            f"{len(used)} recordings are too few to adapt to; {FEWEST} a label are a good start. Record more"
        )
    if len(used) > MOST:
        raise CorpusError(
            f"{len(used):,} recordings; up to {MOST:,} are adapted to. Train with them: emocatcher train --preset "
            "emocatcher-3"
        )
    kept, left_out_votes = votes.within(used, order, "labels that the adapted model will not have")
    notes += left_out_votes
    if corpus.dimensions:
        rated = ", ".join(one.name for one in corpus.dimensions)
        notes.append(f"The ratings of {rated} are not used: only the answers on emotions are adapted")
    if 0 < (n := len(corpus.unlabelled)) < settling.FEWEST:
        without = f"{votes.recordings(n)} without a label {'is' if n == 1 else 'are'}"
        notes.append(f"{without} too few to settle on, and not used; 25 are a good start")
    return msgspec.structs.replace(corpus, utterances=tuple(kept), labels=tuple(order)), notes


def without_labels(corpus: Corpus) -> Corpus | None:
    """Return the recordings without a label that a model settles on; None if they are too few."""
    if len(corpus.unlabelled) < settling.FEWEST:
        return None
    taken = set(settling.sample([one.id for one in corpus.unlabelled]))
    utterances = tuple(one for one in corpus.unlabelled if one.id in taken)
    return Corpus(name=corpus.name, utterances=utterances, labels=("",), dimensions=corpus.dimensions)


def _spelt(utterance: Utterance, known: Sequence[str]) -> Utterance:
    """Return an utterance with the model's spelling of its labels."""
    spelt = utterance.votes and votes.merged((spelling(label, known), share) for label, share in utterance.votes)
    return msgspec.structs.replace(utterance, emotion=spelling(utterance.emotion, known), votes=spelt)


def divide(corpus: Corpus) -> Folds:
    """Divide recordings into two to five folds: by speakers if some have several labels, else by recordings."""
    from sklearn.model_selection import GroupKFold

    n, speakers = len(corpus), corpus.speakers
    folds = np.zeros(n, np.int64)
    # If each speaker has one label, nobody else's recordings have the label of the one who is left out.
    if len({(one.speaker, one.emotion) for one in corpus}) > len(speakers) >= 2:
        names = [one.speaker for one in corpus]
        splits = GroupKFold(min(_MOST_FOLDS, len(speakers))).split(names, groups=names)
        for number, (_, tested) in enumerate(splits):
            folds[tested] = number
        return Folds(folds, "speakers")
    # One label after another, each dealt to the folds in turn.
    order = sorted(range(n), key=lambda i: corpus.labels.index(corpus.utterances[i].emotion))
    folds[order] = np.arange(n) % _MOST_FOLDS
    return Folds(folds, "recordings")
