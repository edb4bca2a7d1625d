"""Carve a validation part out of a fold's training part."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np

from emocatcher.corpora.table import Corpus
from emocatcher.evaluation.protocols.protocol import Fold
from emocatcher.evaluation.protocols.splits import model_selection, speaker_folds
from emocatcher.foundation.errors import ProtocolError


def carve_validation(fold: Fold, corpus: Corpus, *, separates_speakers: bool, fraction: float, seed: int) -> Fold:
    """Move a share of the training part into an empty validation part; a fold that has one is returned unchanged.

    Args:
        fold: one fold of a protocol.
        corpus: the corpus with the fold's utterances.
        separates_speakers: move whole speakers, at least one; otherwise utterances, stratified by emotion.
        fraction: the share to move, above 0 and at most 0.5. For speakers it is rounded to 1 in n.
        seed: seed of the draw.

    Returns:
        the fold with the same test part; its parts keep their order.

    Raises:
        ProtocolError: if the fraction is out of range, a speaker is unknown or the only one, or an emotion has
            a single utterance or speaker in the training part, which validation must not take.
    """
    if fold.valid:
        return fold
    if not 0 < fraction <= 0.5:
        raise ProtocolError(f"The validation fraction is {fraction}. Allowed: above 0, up to 0.5 of the training part.")
    # Sorted by id, so that the result does not depend on the order of rows.
    utterances = corpus.select(sorted(fold.train))
    emotions = [fold.emotion(utterance) for utterance in utterances]
    if separates_speakers:
        speakers = {utterance.speaker for utterance in utterances}
        if None in speakers or len(speakers) < 2:
            raise ProtocolError(
                f"The training part has {len(speakers - {None})} known speakers and {'' if None in speakers else 'no '}"
                "unknown ones. Validation by speaker needs at least 2, all known; or train with selection = last."
            )
        n_parts = min(len(speakers), round(1 / fraction))
        carved = speaker_folds(utterances, n_parts, seed) == 0
    else:
        rarest, fewest = min(Counter(emotions).items(), key=lambda item: item[1])
        n_valid = max(round(fraction * len(emotions)), len(set(emotions)))
        if fewest < 2 or n_valid + len(set(emotions)) > len(emotions):
            raise ProtocolError(
                f"The training part has {len(emotions)} utterances, {fewest} of them '{rarest}': too few for a "
                "validation part. Record more, or train with selection = last."
            )
        _, rows = model_selection().train_test_split(
            np.arange(len(emotions)), test_size=n_valid, stratify=emotions, random_state=seed
        )
        carved = np.isin(np.arange(len(emotions)), rows)
    valid = {utterance.id for utterance, is_carved in zip(utterances, carved, strict=True) if is_carved}
    lost = sorted(set(emotions) - {fold.emotion(utterance) for utterance in utterances if utterance.id not in valid})
    if lost:
        raise ProtocolError(
            f"Validation would take every '{lost[0]}' from the training part. "
            "Add recordings of it by other speakers, or train with selection = last."
        )
    return msgspec.structs.replace(
        fold,
        train=tuple(id_ for id_ in fold.train if id_ not in valid),
        valid=tuple(id_ for id_ in fold.train if id_ in valid),
    )
