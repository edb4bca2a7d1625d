"""What the audit knows of every recording: its content's hash and its fingerprint, kept on disk by that hash."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emocatcher import audio, machine, storage
from emocatcher.audit.fingerprint import NARROWEST_RATE, SAMPLE_RATE, Fingerprint, fingerprint
from emocatcher.corpora.places import cache_dir
from emocatcher.corpora.table import Utterance
from emocatcher.errors import AudioError, EmptyAudioError, FeatureCacheError

_CODE_VERSION = 2  # counts up whenever the same recording gets another fingerprint


class Heard(NamedTuple):
    """One utterance, as the audit heard it."""

    file: str  # hash of the file that it is in
    samples: str  # hash of its own samples, at the fingerprint's rate
    seconds: float
    fingerprint: Fingerprint


def listen(
    name: str,
    utterances: Sequence[Utterance],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    folder: Path | None = None,
) -> dict[str, Heard]:
    """Hash every recording, and take the fingerprints of those that are new. All cores work.

    Args:
        name: the corpus's; what is known of it is kept in one file.
        utterances: whom to listen to.
        on_progress: called with (done, total) as utterances are finished.
        folder: where the file is kept; the user's cache by default.

    Returns:
        id → what was heard.

    Raises:
        AudioError: if a recording cannot be used; the message names it.
        FeatureCacheError: if the fingerprints cannot be written.
    """
    path = (folder or cache_dir() / "fingerprints") / f"{name}-{_CODE_VERSION}.safetensors"
    known = _read(path)
    of_file: dict[Path, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        of_file[utterance.path].append(utterance)
    found: dict[str, Heard] = {}
    new: dict[str, Heard] = {}
    with ThreadPoolExecutor(machine.usable_cores()) as pool:
        for heard in pool.map(lambda group: _hear(group, known), of_file.values()):
            for utterance, key, one in heard:
                found[utterance.id] = one
                if key not in known:
                    new[key] = one
                if on_progress:
                    on_progress(len(found), len(utterances))
    if new:
        _write(path, known | new)
    return found


def _hear(utterances: list[Utterance], known: dict[str, Heard]) -> list[tuple[Utterance, str, Heard]]:
    """All utterances of one file, which is read once, and decoded at most once."""
    path = utterances[0].path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AudioError(path, f"cannot be read: {error.strerror}") from error
    file = hashlib.sha256(content).hexdigest()
    keys = [f"{file}@{utterance.start_s}-{utterance.end_s}" for utterance in utterances]
    if all(key in known for key in keys):
        return [(utterance, key, known[key]) for utterance, key in zip(utterances, keys, strict=True)]
    try:
        recording = audio.read(content, SAMPLE_RATE)
    except AudioError as error:
        raise type(error)(path, error.reason) from error
    heard = []
    for utterance, key in zip(utterances, keys, strict=True):
        waveform = _stretch(recording.waveform, utterance)
        narrow = recording.native_rate < NARROWEST_RATE
        mark = fingerprint(waveform[:0] if narrow else waveform)
        samples = hashlib.sha256(waveform.tobytes()).hexdigest()
        heard.append((utterance, key, Heard(file, samples, len(waveform) / SAMPLE_RATE, mark)))
    return heard


def _stretch(waveform: audio.Waveform, utterance: Utterance) -> audio.Waveform:
    start = round((utterance.start_s or 0.0) * SAMPLE_RATE)
    stop = len(waveform) if utterance.end_s is None else round(utterance.end_s * SAMPLE_RATE)
    stretch = waveform[start:stop]
    if not len(stretch):
        reason = f"ends at {len(waveform) / SAMPLE_RATE:.2f} s, before start_s = {utterance.start_s}"
        raise EmptyAudioError(utterance.path, reason)
    return stretch


def _read(path: Path) -> dict[str, Heard]:
    stored = storage.read_tensors(path)
    if stored is None:
        return {}
    tensors, meta = stored
    ends = np.cumsum(tensors["lengths"])[:-1]
    parts = [np.split(tensors[field], ends) for field in Fingerprint._fields]
    return {
        key: Heard(file, samples, seconds, Fingerprint(*fields))
        for key, (file, samples, seconds), *fields in zip(meta["keys"], meta["heard"], *parts, strict=True)
    }


def _write(path: Path, heard: dict[str, Heard]) -> None:
    tensors = {
        field: np.concatenate([getattr(one.fingerprint, field) for one in heard.values()])
        for field in Fingerprint._fields
    }
    tensors["lengths"] = np.array([len(one.fingerprint.words) for one in heard.values()], np.int64)
    meta = {"keys": list(heard), "heard": [(one.file, one.samples, one.seconds) for one in heard.values()]}
    try:
        storage.write_tensors(path, tensors, meta)
    except OSError as error:
        raise FeatureCacheError(
            f"The fingerprints cannot be written to {path}: {error.strerror}. "
            "Free some space, or name another place with EMOCATCHER_CACHE"
        ) from error
