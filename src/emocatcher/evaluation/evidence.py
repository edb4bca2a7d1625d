"""Read the attention and the example spectrograms of a run from its `evidence.npz`."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import RunError, one_line

Floats = NDArray[np.float64]
Strings = NDArray[np.str_]

# Bytes of an evidence.npz: what any may hold, and how many times its size; spectrograms compress little.
_LARGEST_EVIDENCE, _MOST_COMPRESSION = 1 << 27, 20


@dataclass(frozen=True)
class Evidence:
    """Attention over one fold's test utterances, and log-mel spectrograms of some of them."""

    fold: int
    utterances: Strings  # (n,)
    attention: tuple[Floats, ...]  # n arrays, each sums to 1
    attention_period_s: float
    example_utterances: Strings  # (m,)
    example_log_mel: tuple[Floats, ...]  # m arrays of shape (n_mels, n_frames), dB
    frame_period_s: float
    mel_centres_hz: Floats  # (n_mels,)


def read(path: Path, fold: int, known: set[str]) -> Evidence:
    """Read the evidence of one fold.

    Args:
        path: the file.
        fold: its fold.
        known: the fold's test utterances.

    Raises:
        RunError: if the file is damaged, holds too much, or contradicts the fold.
    """
    try:
        stored = _arrays(path)
        if not known.issuperset(stored["utterances"]) or not known.issuperset(stored["example_utterances"]):
            raise ValueError("it names utterances that predictions.csv does not list for this fold")
        attention = _split(stored, "attention", "attention_lengths", "utterances")
        log_mel = _split(stored, "example_log_mel", "example_lengths", "example_utterances")
        periods_s = float(stored["attention_period_s"]), float(stored["frame_period_s"])
        centres = stored["mel_centres_hz"].astype(np.float64, casting="same_kind")
        if not 0 < min(periods_s) <= max(periods_s) < math.inf:
            raise ValueError(f"its periods are {periods_s} seconds")
        if log_mel and (log_mel[0].ndim != 2 or centres.shape != log_mel[0].shape[:1]):
            raise ValueError("its spectrograms have another number of bands than mel_centres_hz")
        return Evidence(
            fold=fold,
            utterances=stored["utterances"],
            attention=attention,
            attention_period_s=periods_s[0],
            example_utterances=stored["example_utterances"],
            example_log_mel=log_mel,
            frame_period_s=periods_s[1],
            mel_centres_hz=centres,
        )
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        raise _unreadable(path, error) from None


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an .npz file of others, whose arrays may be small only because they are compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(member.file_size for member in archive.infolist())
            if n_bytes > (allowed := _LARGEST_EVIDENCE + _MOST_COMPRESSION * path.stat().st_size):
                raise RunError(
                    f"'{path}' expands to {n_bytes:,} bytes; allowed are {allowed:,} for its size. "
                    "Train again into a new folder"
                )
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except RunError:
        raise
    except Exception as error:  # which one a damaged file raises depends on the damaged byte
        raise _unreadable(path, error) from None


def _split(stored: dict[str, NDArray[Any]], name: str, lengths: str, utterances: str) -> tuple[Floats, ...]:
    """Split the last axis of an array into one array for each utterance."""
    values, counts = stored[name].astype(np.float64, casting="same_kind"), stored[lengths]
    if counts.shape != stored[utterances].shape or counts.dtype.kind != "i" or counts.min(initial=1) < 1:
        raise ValueError(f"{lengths} does not give one number of frames for each utterance")
    if not np.isfinite(values).all() or counts.sum() != (values.shape or (0,))[-1]:
        raise ValueError(f"{name} is not finite, or its size differs from the sum of {lengths}")
    return tuple(np.split(values, np.cumsum(counts)[:-1], axis=-1))


def _unreadable(path: Path, error: Exception) -> RunError:
    return RunError(f"'{path}' cannot be read ({one_line(error)}). Train again into a new folder")
