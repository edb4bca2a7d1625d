"""Cache the features of a corpus, and cut utterances into batches."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.features import extraction
from emocatcher.foundation import atomic_files, process_setup
from emocatcher.foundation.errors import AudioError, FeatureCacheError
from emocatcher.foundation.settings import Settings
from emocatcher.training.shared_rows import RowFile, Span, map_inherited

# Increment it when the code computes other features from the same settings: older caches are then not read.
_CODE_VERSION = 4


class Part(msgspec.Struct, frozen=True):
    """One part of a split: utterance ids and their labels."""

    ids: tuple[str, ...]
    true: NDArray[np.int64]  # (n_utterances,), positions in the labels
    corpus: NDArray[np.int64] | None = None  # (n_utterances,), the corpus of each, if several are joined
    scored: NDArray[np.int64] | None = None  # positions of the classes that count, sorted; None for all

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


class FeatureTable:
    """The features of a corpus by utterance id: channels, which are mel bands and, if the front end has it, pitch.

    Args:
        rows: shape (sum of n_frames, n_channels), float32, the utterances one after the other.
        ids: one for each utterance.
        lengths: shape (n_utterances,), int64, frames.
    """

    def __init__(self, rows: NDArray[np.float32], ids: Sequence[str], lengths: NDArray[np.int64]) -> None:
        self.rows = rows
        self.ids = tuple(ids)
        self.lengths = lengths
        self._starts = np.cumsum(lengths) - lengths
        self._places = {id_: place for place, id_ in enumerate(self.ids)}
        self._span: Span | None = None

    def share(self, file: RowFile) -> FeatureTable:
        """Return this table with its rows in a file; pickled for a worker that inherited the file, it contains no rows.

        Raises:
            FeatureCacheError: if the file cannot be written.
        """
        span = file.append(self.rows)
        shared = FeatureTable(file.map(span), self.ids, self.lengths)
        shared._span = span
        return shared

    def __reduce__(self) -> tuple[Callable[..., FeatureTable], tuple[Any, ...]]:
        if self._span is None:
            return FeatureTable, (self.rows, self.ids, self.lengths)
        return _mapped, (self._span, self.ids, self.lengths)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._places

    def clip(self, id_: str) -> NDArray[np.float32]:
        """Return the channels of one utterance, shape (n_channels, n_frames)."""
        place = self._places[id_]
        start = self._starts[place]
        return self.rows[start : start + self.lengths[place]].T

    def clips(self, ids: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the channels of several utterances, in the order of `ids`."""
        return [self.clip(id_) for id_ in ids]

    def digest(self) -> str:
        """Return a hash of all ids and features; tables with the same hash give the same training."""
        digest = hashlib.sha256("\n".join(self.ids).encode())
        digest.update(np.ascontiguousarray(self.lengths).data)
        digest.update(np.ascontiguousarray(self.rows).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the table to one file atomically.

        Raises:
            FeatureCacheError: if the file cannot be written.
        """
        try:
            atomic_files.write_tensors(path, {"rows": self.rows, "lengths": self.lengths}, {"ids": self.ids})
        except OSError as error:
            raise FeatureCacheError(
                f"The features cannot be written to {path}: {error.strerror}. "
                "Free some space, or name another folder with EMOCATCHER_CACHE"
            ) from error

    @classmethod
    def read(cls, path: Path) -> FeatureTable | None:
        """Read a file that `save` wrote; return None if it does not exist or is damaged."""
        found = atomic_files.read_tensors(path)
        return None if found is None else cls(found[0]["rows"], found[1]["ids"], found[0]["lengths"])


def load_features(
    corpus: Corpus,
    settings: Settings,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> FeatureTable:
    """Load the features of a corpus from the cache, and extract what is missing there on all cores.

    The cache is one file for each corpus and front end. Features are found by the hash of a recording's content, which
    is computed each time, so changed, added and renamed recordings are noticed, and only changed content is extracted
    again.

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
    path = (folder or cache_dir() / "features") / name
    known = FeatureTable.read(path) or FeatureTable(
        np.empty((0, settings.front_end.n_channels), np.float32), (), _no_int()
    )

    def load_one(utterance: Utterance) -> tuple[str, NDArray[np.float32]]:
        content = _read_bytes(utterance.path)
        stretch = "" if utterance.start_s is None and utterance.end_s is None else _stretch(utterance)
        key = hashlib.sha256(content).hexdigest() + stretch
        if key in known:
            return key, known.clip(key)
        try:
            recording = audio.read(
                content, settings.front_end.sample_rate, start_s=utterance.start_s, end_s=utterance.end_s
            )
        except AudioError as error:
            raise type(error)(utterance.path, error.reason) from error
        return key, extraction.extract(recording.waveform, settings.front_end, settings.vad).channels

    found: list[tuple[str, NDArray[np.float32]]] = []
    # Threads suffice: decoding, resampling and the transform release the interpreter lock.
    with ThreadPoolExecutor(process_setup.usable_cores()) as pool:
        for pair in pool.map(load_one, corpus.utterances):
            found.append(pair)
            if on_progress:
                on_progress(len(found), len(corpus))
    by_key = dict(found)
    if not by_key.keys() <= set(known.ids):
        # Other entries stay: a part of a corpus may be loaded now, and the whole corpus later.
        kept = {key: known.clip(key) for key in known.ids} | by_key
        _table(list(kept), list(kept.values())).save(path)
    return _table([utterance.id for utterance in corpus], [clip for _, clip in found])


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


def _mapped(span: Span, ids: Sequence[str], lengths: NDArray[np.int64]) -> FeatureTable:
    return FeatureTable(map_inherited(span), ids, lengths)


def _table(ids: Sequence[str], clips: Sequence[NDArray[np.float32]]) -> FeatureTable:
    lengths = np.array([clip.shape[1] for clip in clips], np.int64)
    # Sums over an array depend on its layout, and `concatenate` would keep that of new clips.
    return FeatureTable(np.ascontiguousarray(np.concatenate([clip.T for clip in clips])), ids, lengths)


def _no_int() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


def _stretch(utterance: Utterance) -> str:
    return f"@{utterance.start_s}-{utterance.end_s}"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AudioError(path, f"cannot be read: {error.strerror}") from error
