"""Cache the features of a corpus, and cut utterances into batches."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Corpus, Utterance, ratings
from emocatcher.features import extraction
from emocatcher.foundation import process_setup
from emocatcher.foundation.dimensions import Dimension, scaled
from emocatcher.foundation.errors import AudioError
from emocatcher.foundation.settings import Settings
from emocatcher.training.feature_cache import FeatureCache, FeatureTable

# Increment it when the code computes other features from the same settings: older caches are then not read.
_CODE_VERSION = 4


class Part(msgspec.Struct, frozen=True):
    """One part of a split: utterance ids and their labels."""

    ids: tuple[str, ...]
    true: NDArray[np.int64]  # (n_utterances,), positions in the labels
    corpus: NDArray[np.int64] | None = None  # (n_utterances,), the corpus of each, if several are joined
    scored: NDArray[np.int64] | None = None  # positions of the classes that count, sorted; None for all
    shares: NDArray[np.float32] | None = None  # (n_utterances, n_labels), targets of training; None for `true` alone
    # (n_utterances, n_dimensions), from -1 to 1 (see `scaled`), NaN where there is none; None without dimensions
    ratings: NDArray[np.float32] | None = None

    def mask(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits with minus infinity for the classes that do not count, so that their probability is 0."""
        if self.scored is None:
            return logits
        masked = np.full_like(logits, -np.inf)
        masked[:, self.scored] = logits[:, self.scored]
        return masked

    def of_scored(self, logits: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the logits of the classes that count, and the labels as positions among these."""
        if self.scored is None:
            return logits, self.true
        return logits[:, self.scored], np.searchsorted(self.scored, self.true)


def target_shares(
    utterances: Sequence[Utterance],
    labels: Sequence[str],
    counted_as: Callable[[str], str] = lambda label: label,
) -> NDArray[np.float32] | None:
    """Return the targets of training where there are votes: the share of each label, or all for the label alone.

    Args:
        utterances: of one part.
        labels: the classes, in order.
        counted_as: the class of a label (see `protocols.Fold.counted_as`).

    Returns:
        shape (n_utterances, n_labels), each row with the sum 1; None if no utterance has votes.
    """
    if all(utterance.votes is None for utterance in utterances):
        return None
    position = {label: number for number, label in enumerate(labels)}
    shares = np.zeros((len(utterances), len(labels)), np.float32)
    for row, utterance in zip(shares, utterances, strict=True):
        for label, share in utterance.votes or ((utterance.emotion, 1.0),):
            row[position[counted_as(label)]] += share
    return shares


def scaled_ratings(utterances: Sequence[Utterance], dimensions: Sequence[Dimension]) -> NDArray[np.float32] | None:
    """Return the ratings of some utterances as a `Part` has them; None without dimensions."""
    return scaled(ratings(utterances, dimensions), dimensions).astype(np.float32) if dimensions else None


def load_features(
    corpus: Corpus,
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> FeatureTable:
    """Load the features of a corpus from the cache, and extract what is missing there on all cores.

    The cache is of one corpus and front end. Features are found by the hash of a recording's content, which is computed
    each time, so changed, added and renamed recordings are noticed, and only changed content is extracted again. They
    are saved as they are extracted, so an interrupted call has not worked in vain, and memory holds few of them.

    Args:
        corpus: the utterances.
        settings: the settings of the front end and of the voice activity detector.
        on_progress: called with (done, total) after each utterance.
        folder: the cache folder; by default, the user's.

    Raises:
        AudioError: if a recording cannot be decoded; the message names it.
        FeatureCacheError: if the cache cannot be written.
    """
    recipe = msgspec.json.encode([_CODE_VERSION, settings.front_end, settings.vad])
    name = f"{corpus.name}-{hashlib.sha256(recipe).hexdigest()[:16]}.safetensors"
    cache = FeatureCache((folder or cache_dir() / "features") / name)

    def load_one(utterance: Utterance) -> tuple[str, NDArray[np.float32] | None]:
        content = _read_bytes(utterance.path)
        key = hashlib.sha256(content).hexdigest() + _part(utterance)
        if key in cache:
            return key, None
        try:
            recording = audio.read(
                content,
                settings.front_end.sample_rate,
                start_s=utterance.start_s,
                end_s=utterance.end_s,
                channel=utterance.channel,
            )
        except AudioError as error:
            reason = f"{error.reason.rstrip('.')}. `emocatcher check` lists all recordings of a corpus with problems"
            raise type(error)(utterance.path, reason) from error
        return key, extraction.extract(recording.waveform, settings.front_end, settings.vad).channels

    keys: list[str] = []
    # Threads suffice: decoding, resampling and the transform release the interpreter lock.
    with cache, ThreadPoolExecutor(process_setup.usable_cores()) as pool:
        for key, channels in pool.map(load_one, corpus.utterances):
            keys.append(key)
            if channels is not None:
                cache.add(key, channels)
            if on_progress:
                on_progress(len(keys), len(corpus))
    return cache.table([utterance.id for utterance in corpus], keys)


def batches(
    order: NDArray[np.int64], batch_size: int, lengths: NDArray[np.int64] | None = None, n_together: int = 1
) -> list[NDArray[np.int64]]:
    """Cut an order of utterances into batches; a last batch of one utterance is joined to the batch before it.

    Batch normalisation needs more than one utterance.

    Args:
        order: indices of utterances.
        batch_size: utterances in a batch.
        lengths: frames of every utterance; needed if `n_together` is above 1.
        n_together: number of consecutive batches whose utterances are sorted by length, which leaves less padding.

    Examples:
        >>> [len(batch) for batch in batches(np.arange(65), 32)]
        [32, 33]
        >>> [batch.tolist() for batch in batches(np.arange(4), 2, np.array([5, 3, 4, 2]), n_together=2)]
        [[3, 1], [2, 0]]
    """
    if lengths is not None and n_together > 1:
        group = np.arange(len(order)) // (batch_size * n_together)
        order = order[np.lexsort((lengths[order], group))]
    cuts = [*range(0, len(order), batch_size), len(order)]
    if len(cuts) > 2 and cuts[-1] - cuts[-2] == 1:
        del cuts[-2]
    return [order[first:last] for first, last in itertools.pairwise(cuts)]


def _part(utterance: Utterance) -> str:
    """Return what distinguishes a part of a recording, its stretch or channel, from the whole, which is ""."""
    is_whole = utterance.start_s is None and utterance.end_s is None
    stretch = "" if is_whole else f"@{utterance.start_s}-{utterance.end_s}"
    return stretch if utterance.channel is None else f"{stretch}#{utterance.channel}"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AudioError(path, f"cannot be read: {error.strerror}") from error
