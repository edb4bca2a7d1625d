"""Every speaker's bands and pitch standardised by that speaker's own recordings.

It takes from a voice what belongs to the speaker and the room, and leaves what changes with the emotion. It needs
many recordings of whoever is heard, the test part's too, though not their labels: such a score is of its own kind.
"""

from __future__ import annotations

import numpy as np

from emocatcher.config import ResidualNetwork, Settings
from emocatcher.corpora.table import Corpus
from emocatcher.dataset import FeatureTable
from emocatcher.errors import ProtocolError

_SPREAD_DB = 15.0  # what one standard deviation becomes: about what it is in speech, so that recipes need not change
_MOST = 5.0  # deviations: a band that is silent but for a moment would reach hundreds of dB, whose power overflows


def by_speaker(features: FeatureTable, corpus: Corpus, settings: Settings) -> FeatureTable:
    """Standardise each band over all frames of each speaker, and take the pitch relative to the speaker's own.

    Args:
        features: of every utterance of the corpus.
        corpus: who speaks.
        settings: below the network's noise floor, if it has one, all is alike here too.

    Returns:
        a table of the same utterances; each band of each speaker has the mean 0 and the deviation 15 dB, what lies
        beyond five deviations cut to them, and the pitch of each the mean 0, weighted by how periodic the frames are.

    Raises:
        ProtocolError: if an utterance has no speaker.
    """
    unknown = [utterance.id for utterance in corpus if utterance.speaker is None]
    if unknown:
        raise ProtocolError(
            f"{len(unknown)} utterances have no speaker ({unknown[0]}, …), so their bands cannot be standardised by "
            "speaker. Name the speakers, or leave training.speaker_normalisation false"
        )
    n_mels, network = settings.front_end.n_mels, settings.network
    bands, tracks = features.rows[:, :n_mels].copy(), features.rows[:, n_mels:].copy()
    if isinstance(network, ResidualNetwork):
        bands = 10.0 * np.log10(10.0 ** (bands / 10.0) + 10.0 ** (network.noise_floor_db / 10.0)).astype(np.float32)
    speaker_of = {utterance.id: utterance.speaker for utterance in corpus}
    of_rows = np.repeat([speaker_of[id_] for id_ in features.ids], features.lengths)
    for speaker in corpus.speakers:
        here = of_rows == speaker
        own = bands[here].astype(np.float64)
        if len(own):
            deviations = (own - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-3)
            bands[here] = _SPREAD_DB * np.clip(deviations, -_MOST, _MOST)
        if len(own) and tracks.shape[1]:
            octaves, periodicity = tracks[here].T.astype(np.float64)
            tracks[here, 0] = octaves - octaves @ periodicity / max(periodicity.sum(), 1e-3)
    return FeatureTable(np.concatenate([bands, tracks], axis=1), features.ids, features.lengths)
