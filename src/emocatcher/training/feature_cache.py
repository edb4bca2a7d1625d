"""Features on disk: saved in parts while they are computed, found by the hash of their source, mapped into memory.

A part is never changed after it is written, so all processes of a training map the same files. Memory then holds each
page once, whatever the number of processes, and the system frees pages where memory is short: a corpus may be larger
than the memory.
"""

from __future__ import annotations

import glob
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation import atomic_files
from emocatcher.foundation.errors import FeatureCacheError
from emocatcher.foundation.settings import FrontEnd

_LARGEST_PART = 1 << 27  # bytes; a part is copied about three times while it is written
_SAVE_AFTER_S = 30.0
_SAVE_SHARE = 0.1  # of the time since the start: a killed process loses a tenth of its work, and parts stay few


class FeatureTable:
    """The features of a corpus by utterance id: channels, which are mel bands and, if the front end has it, pitch.

    Pickled for another process, it contains no features, only where they are.

    Args:
        files: parts of a cache.
        ids: one for each utterance.
        places: shape (n_utterances, 3), int64: position in `files`, first row, number of rows, which are frames.
    """

    def __init__(self, files: Sequence[Path], ids: Sequence[str], places: NDArray[np.int64]) -> None:
        self.ids = tuple(ids)
        self.lengths = places[:, 2].copy()
        self._files, self._places = tuple(files), places
        self._order = {id_: i for i, id_ in enumerate(self.ids)}
        self._mapped: dict[int, NDArray[np.float32]] = {}

    def __reduce__(self) -> tuple[Callable[..., FeatureTable], tuple[Any, ...]]:
        return FeatureTable, (self._files, self.ids, self._places)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._order

    def clip(self, id_: str) -> NDArray[np.float32]:
        """Return the channels of one utterance, shape (n_channels, n_frames), read-only.

        Raises:
            FeatureCacheError: if a file was removed since.
        """
        file, first, n_rows = self._places[self._order[id_]].tolist()
        return self._rows(file)[first : first + n_rows].T

    def clips(self, ids: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return the channels of several utterances, in the order of `ids`."""
        return [self.clip(id_) for id_ in ids]

    def longest_s(self, front_end: FrontEnd) -> float:
        """Return the length of the longest utterance in seconds; `front_end` computed the features."""
        return round(int(self.lengths.max()) * front_end.frame_period_s, 6)

    def select(self, ids: Sequence[str]) -> FeatureTable:
        """Return the table of some utterances."""
        places = self._places[[self._order[id_] for id_ in ids]]
        used, places[:, 0] = np.unique(places[:, 0], return_inverse=True)
        return FeatureTable([self._files[number] for number in used], ids, places)

    def digest(self) -> str:
        """Return a hash of all ids and features; tables with the same hash give the same training."""
        digest = hashlib.sha256("\n".join(self.ids).encode())
        digest.update(self.lengths.data)
        for id_ in self.ids:
            digest.update(self.clip(id_).T.data)
        return digest.hexdigest()

    def _rows(self, file: int) -> NDArray[np.float32]:
        if file not in self._mapped:
            try:
                self._mapped[file] = atomic_files.map_tensors(self._files[file])["rows"]
            except OSError as error:
                raise FeatureCacheError(
                    f"The features in {self._files[file]} cannot be read any more: {error.strerror}. "
                    "Start again; with --resume, where the command has it"
                ) from error
        return self._mapped[file]


class FeatureCache:
    """Features by key; a context manager that saves what is new, also after an error or Ctrl-C.

    Args:
        path: names the files: `<stem>.safetensors`, which earlier versions wrote, and `<stem>-<hash>.safetensors`.
            Damaged ones are not used.

    Raises:
        FeatureCacheError: when a file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[Path] = []
        self._places: dict[str, tuple[int, int, int]] = {}
        self._new: dict[str, NDArray[np.float32]] = {}
        self._n_bytes = 0
        self._started = self._saved = time.monotonic()
        for file in sorted(path.parent.glob(f"{glob.escape(path.stem)}*{path.suffix}")):
            found = atomic_files.read_tensors(file)
            if found is not None:
                self._list(file, found[1]["ids"], found[0]["lengths"].tolist())

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.save()

    def __contains__(self, key: str) -> bool:
        return key in self._places or key in self._new

    def add(self, key: str, channels: NDArray[np.float32]) -> None:
        """Add the features of one clip, shape (n_channels, n_frames); save from time to time."""
        if key in self:
            return
        # Sums over an array depend on its layout, so it is that of a mapped file; a copy, not a view of a larger array.
        self._new[key] = np.array(channels.T, np.float32, order="C")
        self._n_bytes += self._new[key].nbytes
        now = time.monotonic()
        waited_for = max(_SAVE_AFTER_S, _SAVE_SHARE * (now - self._started))
        if self._n_bytes >= _LARGEST_PART or now - self._saved >= waited_for:
            self.save()

    def save(self) -> None:
        """Write what is new to one more file, atomically.

        Raises:
            FeatureCacheError: if it cannot be written.
        """
        if not self._new:
            return
        keys, clips = list(self._new), list(self._new.values())
        lengths = np.array([len(clip) for clip in clips], np.int64)
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
        path = self._path.with_stem(f"{self._path.stem}-{name}")
        try:
            atomic_files.write_tensors(path, {"rows": np.concatenate(clips), "lengths": lengths}, {"ids": keys})
        except OSError as error:
            raise FeatureCacheError(
                f"The features cannot be written to {path}: {error.strerror}. "
                "Free some space, or name another folder with EMOCATCHER_CACHE"
            ) from error
        self._list(path, keys, lengths.tolist())
        self._new, self._n_bytes, self._saved = {}, 0, time.monotonic()

    def table(self, ids: Sequence[str], keys: Sequence[str]) -> FeatureTable:
        """Return the saved features of utterances.

        Args:
            ids: of the utterances.
            keys: of their features, in the same order.
        """
        places = np.array([self._places[key] for key in keys], np.int64).reshape(len(ids), 3)
        return FeatureTable(self._files, ids, places)

    def _list(self, file: Path, keys: Sequence[str], lengths: Sequence[int]) -> None:
        first = 0
        for key, n_rows in zip(keys, lengths, strict=True):
            self._places.setdefault(key, (len(self._files), first, n_rows))
            first += n_rows
        self._files.append(file)
