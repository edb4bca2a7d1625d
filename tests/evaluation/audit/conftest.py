"""Recordings, encoded copies of them, and tables of recordings."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from emocatcher.corpora import manifest
from emocatcher.corpora.table import Corpus
from emocatcher.evaluation import protocols
from emocatcher.foundation.settings import Settings, load_preset

CODECS = {"mp3": "libmp3lame", "ogg": "libopus", "mp4": "aac"}


def encoded(samples: np.ndarray, sample_rate: int, container: str, bit_rate: int = 64_000) -> bytes:
    """Encode samples, shape (n,), and return the file's bytes."""
    content = io.BytesIO()
    with av.open(content, "w", format=container) as file:
        stream = file.add_stream(CODECS[container], rate=sample_rate)
        stream.bit_rate, stream.layout = bit_rate, "mono"
        codec = stream.codec_context
        pcm = np.round(np.clip(samples, -1, 1) * 32_767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = sample_rate
        to_codec = av.AudioResampler(codec.format.name, "mono", sample_rate, frame_size=codec.frame_size or 0)
        for ready in [*to_codec.resample(frame), *to_codec.resample(None)]:
            file.mux(stream.encode(ready))
        file.mux(stream.encode(None))
    return content.getvalue()


def wav(samples: np.ndarray, sample_rate: int) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, sample_rate, format="WAV", subtype="PCM_16")
    return content.getvalue()


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_preset("cabg")


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Corpus]:
    """Return a function: rows of (path, label, speaker, split, …) → the corpus of a user's table of them."""

    def make(rows: Sequence[Sequence[Any]], columns: str = "path,label,speaker,split") -> Corpus:
        lines = [columns, *(",".join(map(str, row)) for row in rows)]
        (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return manifest.read(tmp_path / "mine.csv")

    return make


@pytest.fixture
def inspect(tmp_path: Path, settings: Settings) -> Callable[..., Any]:
    """Return a function: corpus → its audit, with the table's own split or another protocol."""
    from emocatcher.evaluation import audit

    def run(corpus: Corpus, protocol: str | protocols.Protocol = "manifest", recipe: Settings = settings) -> Any:
        folds = protocols.load(protocol, corpus) if isinstance(protocol, str) else protocol
        return audit.run(corpus, folds, recipe, folder=tmp_path / "fingerprints")

    return run
