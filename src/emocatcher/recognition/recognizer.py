"""The `Recognizer`: predicts a recording's emotion, its probability and the attention over time, with ONNX Runtime."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio.channels import Channels, check, index_of
from emocatcher.audio.sources import held, path_of
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.features import speech_gate
from emocatcher.features.padding import pad_batch
from emocatcher.foundation.errors import SettingError, TooLongError
from emocatcher.models import model_folder
from emocatcher.models.finding import find_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_session import Answers, OnnxSession
from emocatcher.models.pooled_vectors import PooledVectors
from emocatcher.recognition import each_channel, embedding, failures, settling, speakers, timeline, utterance
from emocatcher.recognition.prediction import Failure, Prediction
from emocatcher.recognition.settling import Settled
from emocatcher.recognition.speakers import Turns
from emocatcher.recognition.timeline import LONG_S, SpeakerTimeline, Stream, Timeline, summarise


class Recognizer:
    """A loaded model. It is thread-safe and can be pickled.

    Args:
        model: an opened model folder.
        emotions: the labels that answers are restricted to; None for all.
        settled: what the model settled on; None for nothing.
        session: of another recogniser of the same model, to share it; None to open one.

    Raises:
        ModelError: if the network cannot be run, or its labels differ from those in `config.json`.
        SettingError: if `settled` is of another model, or an emotion is not among the model's.
    """

    def __init__(
        self, model: Bundle, *, emotions: tuple[str, ...] | None = None, settled: Settled | None = None,
        session: OnnxSession | None = None,
    ) -> None:  # fmt: skip
        self.path, self.config, self.settled = model.path, model.config, settled
        self._emotions, self._model, self._session = emotions, model, session or OnnxSession(model)
        if settled is not None:
            settling.check(settled, model.config)
        if emotions is not None:
            labels = settling.chosen(emotions, model.config)
            self._kept = [model.config.labels.index(label) for label in labels]
            self.config = msgspec.structs.replace(model.config, labels=labels)

    def __repr__(self) -> str:
        rate, labels = self.config.settings.front_end.sample_rate, ", ".join(self.config.labels)
        return f"Recognizer('{self.config.name}', {rate} Hz, labels: {labels})"

    @property
    def n_settled_on(self) -> int:
        """The number of recordings that the model settled on; 0 for none."""
        return self.settled.n_recordings if self.settled else 0

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be pickled, so unpickling opens the folder again.
        return _reopen, (self.path.absolute(), self._emotions, self.settled)

    def only(self, emotions: Sequence[str]) -> Recognizer:
        """Return a recogniser that answers with some of the emotions: the others are left out, the rest sums to 1.

        Raises:
            SettingError: if fewer than two are given, or one is not among the model's.
        """
        return Recognizer(self._model, emotions=tuple(emotions), settled=self.settled, session=self._session)

    def settle(self, sources: Iterable[audio.Source], *, workers: int = 1) -> Recognizer:
        """Return a recogniser that has settled on recordings of one set, without labels (see `settling.settle`)."""
        return self.with_settled(settling.settle(Recognizer(self._model, session=self._session), sources, workers))

    def with_settled(self, settled: Settled) -> Recognizer:
        """Return a recogniser that uses what the same model settled on before; another model's is a SettingError."""
        return Recognizer(self._model, emotions=self._emotions, settled=settled, session=self._session)

    def predict(
        self,
        source: audio.Source,
        *,
        channels: Channels = "mix",
        abstain_below: float | None = None,
        longest_s: float = math.inf,
        on_timeline: Callable[[Timeline], object] | None = None,
        threads: int | None = None,
    ) -> Prediction:
        """Recognise one recording: as one utterance, or by the `shares` of its timeline if it is longer than 10 s.

        Args:
            source: a path, a URI, an encoded file's bytes, or (samples, sample_rate).
            channels: "mix" for all channels together (see `audio.channels`), or the one to use alone: "left", "right",
                or its number from 1.
            abstain_below: a prediction with a lower probability is marked `abstain`; None for the model's threshold.
            longest_s: longer recordings are refused, seconds.
            on_timeline: called with the timeline of a recording that is longer than 10 s.
            threads: as for `timeline`, for such a recording.

        Raises:
            AudioError: if the recording cannot be used, has no such channel, or is longer than `longest_s`.
            SettingError: if `channels` is none of these, or `abstain_below` is not within 0 … 1.
        """
        threshold, channel = self._threshold(abstain_below), index_of(channels)
        rate, path = self.config.settings.front_end.sample_rate, path_of(source)
        with held(source) as again:  # a long recording is opened twice
            try:
                recording = audio.read(again, rate, longest_s=min(longest_s, LONG_S), channel=channel)
            except TooLongError:
                if longest_s <= LONG_S:
                    raise
                long = self.timeline(
                    again, channels=channels, abstain_below=abstain_below, longest_s=longest_s, threads=threads
                )
                if on_timeline is not None:
                    on_timeline(long)
                return msgspec.structs.replace(summarise(long), path=path)
        number = None if channel is None else channel + 1
        return utterance.recognise(self, recording, threshold, path=path, channel=number)

    def predict_each(self, source: audio.Source, **options: Any) -> tuple[Prediction, ...]:
        """Recognise each channel of a recording on its own, with the other options of `predict`."""
        return each_channel.recognise(lambda again, n: self.predict(again, channels=n, **options), source)

    def predict_many(
        self,
        sources: Iterable[audio.Source],
        *,
        channels: Channels = "mix",
        workers: int = 1,
        ordered: bool = True,
        abstain_below: float | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Recognise many recordings; one that cannot be used gives a `Failure`, and the others continue.

        Args:
            sources: as for `predict`; consumed lazily, so there may be millions. A value that cannot be a recording,
                such as None or NaN in a column of paths, gives a `Failure` with the error "TypeError".
            channels: as for `predict`, or "each" for a prediction for each channel, one after another.
            workers: number of worker processes; 1 runs in this process.
            ordered: whether results come in the order of the sources, or as soon as they are ready.
            abstain_below: as for `predict`.

        Raises:
            SettingError: if `channels`, `workers` or `abstain_below` is not allowed.
        """
        options: dict[str, Any] = {"channels": channels, "workers": workers, "ordered": ordered}
        return itertools.chain.from_iterable(self.predict_by_source(sources, abstain_below=abstain_below, **options))

    def predict_by_source(
        self, sources: Iterable[audio.Source], *, channels: Channels = "mix", workers: int = 1, ordered: bool = True,
        abstain_below: float | None = None,
    ) -> Iterator[tuple[Prediction | Failure, ...]]:  # fmt: skip
        """Do the same as `predict_many`, with the outcomes of each source together: one, or one for each channel."""
        self._threshold(abstain_below)
        check(channels)
        threads = None if workers == 1 else 1
        predict = partial(self._predict_all, channels, abstain_below=abstain_below, threads=threads)
        return failures.outcomes(predict, sources, workers, ordered=ordered)

    def timeline(
        self,
        source: audio.Source,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        *,
        channels: Channels = "mix",
        abstain_below: float | None = None,
        longest_s: float = math.inf,
        on_block: Callable[[audio.Waveform], object] | None = None,
        threads: int | None = None,
    ) -> Timeline:
        """Recognise a recording of any length window by window.

        Args:
            source: as for `predict`; of any length, because it is never in memory as a whole.
            window_s: length of a window, seconds.
            hop_s: from the start of one window to the start of the next, seconds.
            channels: as for `predict`.
            abstain_below: as for `predict`, for windows and segments.
            longest_s: as for `predict`.
            on_block: called with each block of the waveform, at the model's rate, as soon as its windows are prepared.
            threads: 1, or 2 to run the network in its own; the result is the same. None for 2 if two cores may be used.

        Raises:
            AudioError: if the recording cannot be used, has no such channel, or is longer than `longest_s`.
            SettingError: if `channels`, the window, the hop, `abstain_below` or `threads` is not allowed.
        """
        threshold = self._threshold(abstain_below)
        return timeline.recognise(
            self, speech_gate.has_speech_at_once, source, window_s, hop_s, threshold, on_block, threads,
            longest_s=longest_s, channel=index_of(channels),
        )  # fmt: skip

    def timeline_each(self, source: audio.Source, *arguments: Any, **options: Any) -> tuple[Timeline, ...]:
        """Recognise each channel of a recording on its own, with the other arguments of `timeline`."""
        return each_channel.recognise(lambda again, n: self.timeline(again, *arguments, channels=n, **options), source)

    def timeline_by_speaker(self, source: audio.Source, turns: Turns, **options: Any) -> tuple[SpeakerTimeline, ...]:
        """Recognise each turn of each speaker on its own, from a diariser's turns (see `speakers.recognise`)."""
        options["abstain_below"] = self._threshold(options.get("abstain_below"))
        return speakers.recognise(self, source, turns, **options)

    def stream(
        self, sample_rate: int, window_s: float = 3.0, hop_s: float = 0.5, *, abstain_below: float | None = None
    ) -> Stream:
        """Recognise audio while it is still arriving: push chunks into the stream, which returns windows.

        Args:
            sample_rate: of the chunks, Hz.
            window_s: length of a window, seconds.
            hop_s: from the start of one window to the start of the next, seconds.
            abstain_below: as for `predict`, for windows.

        Raises:
            SettingError: if the sample rate, the window, the hop or `abstain_below` is out of range.
        """
        threshold = self._threshold(abstain_below)
        return Stream(self, speech_gate.has_speech_at_once, sample_rate, window_s, hop_s, threshold)

    def occlusion(self, source: audio.Source) -> tuple[tuple[float, float], ...]:
        """Measure how much each moment contributes to the prediction, without attention (see `faithfulness.occlusion`).

        Spans of a fifth of a second are removed, one at a time: a sentence takes a tenth of a second.

        Args:
            source: as for `predict`, but at most 10 s long, because a longer recording has no attention either.

        Returns:
            (time_s, fall) for each weight of `Prediction.attention`: seconds from the start of the recording, and how
            much the predicted emotion's calibrated probability falls without this moment, in -1..1. Empty if the
            voiced span is too short to remove anything.

        Raises:
            AudioError: if the recording cannot be used, or is longer than 10 s.
        """
        recording = audio.read(source, self.config.settings.front_end.sample_rate, longest_s=LONG_S)
        return utterance.occlusion(self, recording)

    def embed(self, source: audio.Source, **options: Any) -> NDArray[np.float32]:
        """Return the embedding of a recording, shape (n_values,), float32, 2304 by default (see `embedding.embed`)."""
        return embedding.embed(self, source, **options).vector

    @cached_property
    def pooled(self) -> PooledVectors:
        """The vectors of clips, before the last layers."""
        return PooledVectors(self._model, self._session)

    def run(self, channels: Sequence[NDArray[np.float32]], batch_size: int = 64) -> Answers:
        """Run the network on extracted features.

        Args:
            channels: one array of shape (n_channels, n_frames) per clip, `Features.channels`.
            batch_size: clips at a time; it affects the speed, not the result (≤ 1e-5). An encoder gets one at a time:
                a clip is work enough, and padding would only add to it.

        Raises:
            ModelError: if the network fails, or its outputs are not finite.
        """
        found = []
        batch_size = 1 if self._session.has_encoder else batch_size
        for start in range(0, len(channels), batch_size):
            batch, lengths = pad_batch(channels[start : start + batch_size])
            found.append(self._session.run(batch, lengths, self.config.settings.network.n_steps(lengths)))
        logits, attention, dimensions = zip(*found, strict=True)
        return Answers(np.concatenate(logits), [*itertools.chain(*attention)], np.concatenate(dimensions))

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Convert logits, shape (n_clips, n_classes), to calibrated probabilities of the same shape."""
        probabilities = softmax(logits, self.config.temperature)
        if self.settled is not None:
            probabilities = settling.apply(probabilities, self.settled.shift)
        if self._emotions is not None:
            kept = probabilities[:, self._kept]
            probabilities = kept / kept.sum(axis=1, keepdims=True)
        return probabilities

    def _predict_all(self, channels: Channels, source: audio.Source, **options: Any) -> tuple[Prediction, ...]:
        if channels == "each":
            return self.predict_each(source, **options)
        return (self.predict(source, channels=channels, **options),)

    def _threshold(self, abstain_below: float | None) -> float:
        if abstain_below is not None and not 0.0 <= abstain_below <= 1.0:
            raise SettingError(f"The threshold for abstaining is {abstain_below:g}. Give a probability, 0 to 1")
        return self.config.abstain_below if abstain_below is None else abstain_below


def load(model: str | Path | None = None) -> Recognizer:
    """Open a model for recognition.

    Args:
        model: None for the default model; the name of a model in the package; a model folder; or a name on the Hugging
            Face hub, "owner/name" or "owner/name@revision" (needs the extra `hub`).

    Raises:
        ModelError: if there is no such model, or a file of it is missing or altered.

    Examples:
        >>> load()
        Recognizer('emocatcher-3', 16000 Hz, labels: neutral, calm, happy, sad, angry, fearful, disgust, surprised)
    """
    return Recognizer(model_folder.read(find_folder(model)))


def _reopen(folder: Path, emotions: tuple[str, ...] | None, settled: Settled | None) -> Recognizer:
    return Recognizer(model_folder.read(folder), emotions=emotions, settled=settled)
