"""The embedding of a recording: the vector from which the model answers, to cluster, retrieve or train a classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio.channels import Channels, index_of
from emocatcher.audio.sources import held, path_of
from emocatcher.features import extraction, speech_gate
from emocatcher.foundation.errors import NoSpeechError, TooLongError
from emocatcher.models.onnx_session import Answers
from emocatcher.models.pooled_vectors import PooledVectors
from emocatcher.recognition import cautions, each_channel, timeline
from emocatcher.recognition.timeline import LONG_S
from emocatcher.recognition.timeline.window_batches import NetworkConfig

_WINDOW_S = 3.0


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """The embedding of one recording, or of one of its channels."""

    path: str  # as given; "" for bytes and arrays
    channel: int | None = None  # from 1, if it was embedded alone; None for the mix of all
    duration_s: float
    vector: NDArray[np.float32]  # (n_values,)
    model: str
    model_version: str


class Embedder(Protocol):
    """What embeds; `emocatcher.Recognizer` does."""

    @property
    def config(self) -> NetworkConfig:
        """The model's config."""

    @property
    def pooled(self) -> PooledVectors:
        """The vectors of clips."""


def embed(
    model: Embedder, source: audio.Source, *, channels: Channels = "mix", longest_s: float = math.inf
) -> Embedding:
    """Embed one recording: its voiced span, or, if it is longer than 10 s, its windows of 3 s that have speech.

    Args:
        model: the model. What it settled on, and to which emotions it is restricted, change nothing.
        source: a path, a URI, an encoded file's bytes, or (samples, sample_rate).
        channels: as for `Recognizer.predict`.
        longest_s: longer recordings are refused, seconds.

    Returns:
        the embedding; that of a long recording is the mean of those of its windows.

    Raises:
        AudioError: if the recording cannot be used, has no such channel or no speech, or is longer than `longest_s`.
        SettingError: if `channels` is not allowed.
    """
    channel, path = index_of(channels), path_of(source)
    front_end = model.config.settings.front_end
    with held(source, often=True) as again:  # a pipe can be read only once, and a long recording is opened twice
        try:
            recording = audio.read(again, front_end.sample_rate, longest_s=min(longest_s, LONG_S), channel=channel)
        except TooLongError:
            if longest_s <= LONG_S:
                raise
            windows = _Windows(model)
            found = timeline.recognise(
                windows, speech_gate.has_speech_at_once, again, _WINDOW_S, _WINDOW_S,
                threads=1, longest_s=longest_s, channel=channel,
            )  # fmt: skip
            vector, duration_s = windows.mean(path), found.duration_s
        else:
            spectrogram = extraction.compute_channels(recording.waveform, front_end)
            clip = extraction.cut_voiced_span(spectrogram, recording.waveform, front_end, model.config.settings.vad)
            warnings = cautions.find(recording, spectrogram[: front_end.n_mels], clip, front_end, None)
            if any(one.code == "no-speech" for one in warnings):
                raise _no_speech(path)
            vector, duration_s = model.pooled.of(clip.channels), clip.duration_s
    return Embedding(
        path=path, channel=None if channel is None else channel + 1, duration_s=duration_s, vector=vector,
        model=model.config.name, model_version=model.config.version,
    )  # fmt: skip


def embed_all(model: Embedder, channels: Channels, source: audio.Source) -> tuple[Embedding, ...]:
    """Embed one recording: its mix, one of its channels, or each of them for "each"."""
    if channels == "each":
        return each_channel.recognise(lambda again, n: embed(model, again, channels=n), source)
    return (embed(model, source, channels=channels),)


class _Windows:
    """Stands in for the network of a timeline: it adds up vectors instead of answering.

    Args:
        model: the model.
    """

    n_settled_on = 0

    def __init__(self, model: Embedder) -> None:
        self.config, self._pooled = model.config, model.pooled
        self._sum: NDArray[np.float64] | float = 0.0
        self._n = 0

    def run(self, channels: Sequence[NDArray[np.float32]], batch_size: int = 1) -> Answers:  # noqa: ARG002
        """Add the vectors of clips; the answers are all alike."""
        for clip in channels:
            self._sum = self._sum + self._pooled.of(clip).astype(np.float64)
            self._n += 1
        lengths = np.array([clip.shape[1] for clip in channels], np.int64)
        attention = [np.full(n, 1.0 / n, np.float32) for n in self.config.settings.network.n_steps(lengths).tolist()]
        n_labels, n_dimensions = len(self.config.labels), len(self.config.dimensions)
        return Answers(
            np.zeros((len(channels), n_labels), np.float32),
            attention,
            np.zeros((len(channels), n_dimensions), np.float32),
        )

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the same for all labels."""
        return np.full(logits.shape, 1.0 / logits.shape[1])

    def mean(self, path: str) -> NDArray[np.float32]:
        """Return the mean of the vectors so far."""
        if self._n == 0:
            raise _no_speech(path)
        return np.asarray(self._sum / self._n, np.float32)


def _no_speech(path: str) -> NoSpeechError:
    return NoSpeechError(path or "the recording", "no speech was found in it, and the model embeds only speech")
