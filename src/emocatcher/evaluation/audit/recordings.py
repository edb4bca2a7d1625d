"""Hash and fingerprint every recording for the audit; fingerprints are cached on disk by the file's hash."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emocatcher import audio
from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Utterance
from emocatcher.evaluation.audit.fingerprint import NARROWEST_RATE, SAMPLE_RATE, Fingerprint, fingerprint
from emocatcher.foundation import atomic_files, process_setup
from emocatcher.foundation.errors import AudioError, EmptyAudioError, FeatureCacheError

_CODE_VERSION = 2  # increase when the same recording gets a different fingerprint


class RecordingScan(NamedTuple):
    """The hashes, duration and fingerprint of an utterance."""

    file: str  # hash of its file
    samples: str  # hash of its samples, at the fingerprint's sample rate
    seconds: float
    fingerprint: Fingerprint


def scan(
    name: str,
    utterances: Sequence[Utterance],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> dict[str, RecordingScan]:
    """Hash every recording, and fingerprint those that are not cached, on all cores.

    Args:
        name: name of the corpus; each corpus has one cache file.
        utterances: the utterances to scan.
        on_progress: called with (done, total) after each utterance.
        folder: where the cache file is; the user's cache by default.

    Returns:
        id → scan.

    Raises:
        AudioError: if a recording cannot be used; the message names it.
        FeatureCacheError: if the fingerprints cannot be written.
    """
    path = (folder or cache_dir() / "fingerprints") / f"{name}-{_CODE_VERSION}.safetensors"
    cached = _read(path)
    by_file: dict[Path, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        by_file[utterance.path].append(utterance)
    scans: dict[str, RecordingScan] = {}
    new: dict[str, RecordingScan] = {}
    with ThreadPoolExecutor(process_setup.usable_cores()) as pool:
        for file_scans in pool.map(lambda group: _scan_file(group, cached), by_file.values()):
            for utterance, key, result in file_scans:
                scans[utterance.id] = result
                if key not in cached:
                    new[key] = result
                if on_progress:
                    on_progress(len(scans), len(utterances))
    if new:
        _write(path, cached | new)
    return scans


def _scan_file(
    utterances: list[Utterance], cached: dict[str, RecordingScan]
) -> list[tuple[Utterance, str, RecordingScan]]:
    """Scan all utterances of one file, which is read once and decoded at most once."""
    path = utterances[0].path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AudioError(path, f"cannot be read: {error.strerror}") from error
    file = hashlib.sha256(content).hexdigest()
    keys = [f"{file}@{utterance.start_s}-{utterance.end_s}" for utterance in utterances]
    if all(key in cached for key in keys):
        return [(utterance, key, cached[key]) for utterance, key in zip(utterances, keys, strict=True)]
    try:
        recording = audio.read(content, SAMPLE_RATE)
    except AudioError as error:
        raise type(error)(path, error.reason) from error
    scans = []
    for utterance, key in zip(utterances, keys, strict=True):
        waveform = _cut(recording.waveform, utterance)
        narrow = recording.native_rate < NARROWEST_RATE
        own_fingerprint = fingerprint(waveform[:0] if narrow else waveform)
        samples = hashlib.sha256(waveform.tobytes()).hexdigest()
        scans.append((utterance, key, RecordingScan(file, samples, len(waveform) / SAMPLE_RATE, own_fingerprint)))
    return scans


def _cut(waveform: audio.Waveform, utterance: Utterance) -> audio.Waveform:
    start = round((utterance.start_s or 0.0) * SAMPLE_RATE)
    stop = len(waveform) if utterance.end_s is None else round(utterance.end_s * SAMPLE_RATE)
    segment = waveform[start:stop]
    if not len(segment):
        end = f"{len(waveform) / SAMPLE_RATE:.2f} s"
        raise EmptyAudioError(utterance.path, f"ends at {end}, before start_s = {utterance.start_s}. Correct its row")
    return segment


def _read(path: Path) -> dict[str, RecordingScan]:
    stored = atomic_files.read_tensors(path)
    if stored is None:
        return {}
    tensors, meta = stored
    ends = np.cumsum(tensors["lengths"])[:-1]
    parts = [np.split(tensors[field], ends) for field in Fingerprint._fields]
    return {
        key: RecordingScan(file, samples, seconds, Fingerprint(*fields))
        for key, (file, samples, seconds), *fields in zip(meta["keys"], meta["heard"], *parts, strict=True)
    }


def _write(path: Path, scans: dict[str, RecordingScan]) -> None:
    tensors = {
        field: np.concatenate([getattr(one.fingerprint, field) for one in scans.values()])
        for field in Fingerprint._fields
    }
    tensors["lengths"] = np.array([len(one.fingerprint.words) for one in scans.values()], np.int64)
    meta = {"keys": list(scans), "heard": [(one.file, one.samples, one.seconds) for one in scans.values()]}
    try:
        atomic_files.write_tensors(path, tensors, meta)
    except OSError as error:
        raise FeatureCacheError(
            f"The fingerprints cannot be written to {path}: {error.strerror}. "
            "Free some space, or set EMOCATCHER_CACHE to another folder"
        ) from error
