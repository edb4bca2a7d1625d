"""Every speaker's bands standardised by that speaker's own recordings.

It takes from a voice what belongs to the speaker and the room, and leaves what changes with the emotion. It needs
many recordings of whoever is heard, the test part's too, though not their labels: such a score is of its own kind.
"""

from __future__ import annotations

import numpy as np

from emocatcher.config import Network, ResidualNetwork
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import FeatureTable
from emocatcher.errors import ProtocolError

_SPREAD_DB = 15.0  # what one standard deviation becomes: about what it is in speech, so that recipes need not change


def by_speaker(features: FeatureTable, corpus: Corpus, network: Network) -> FeatureTable:
    """Standardise each band over all frames of each speaker.

    Args:
        features: of every utterance of the corpus, dB.
        corpus: who speaks.
        network: that is to hear it; below its noise floor, if it has one, all is alike here too.

    Returns:
        a table of the same utterances; each band of each speaker has the mean 0 and the deviation 15 dB.

    Raises:
        ProtocolError: if an utterance has no speaker.
    """
    unknown = [utterance.id for utterance in corpus if utterance.speaker is None]
    if unknown:
        raise ProtocolError(
            f"{len(unknown)} utterances have no speaker ({unknown[0]}, …), so their bands cannot be standardised by "
            "speaker. Name the speakers, or leave training.speaker_normalisation false"
        )
    rows = features.rows.copy()
    if isinstance(network, ResidualNetwork):
        rows = 10.0 * np.log10(10.0 ** (rows / 10.0) + 10.0 ** (network.noise_floor_db / 10.0)).astype(np.float32)
    speaker_of = {utterance.id: utterance.speaker for utterance in corpus}
    of_rows = np.repeat([speaker_of[id_] for id_ in features.ids], features.lengths)
    for speaker in corpus.speakers:
        here = of_rows == speaker
        own = rows[here].astype(np.float64)
        if len(own):
            rows[here] = _SPREAD_DB * (own - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-3)
    return FeatureTable(rows, features.ids, features.lengths)
