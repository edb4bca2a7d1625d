"""The `Recognizer`: predicts a recording's emotion, its probability and the attention over time, with ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.audio.sources import is_pipe, readable
from emocatcher.evaluation.scoring import faithfulness
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.features import extraction, speech_gate
from emocatcher.features.extraction import Features
from emocatcher.features.padding import pad_batch
from emocatcher.features.training_conditions import Judge
from emocatcher.foundation.errors import SettingError, TooLongError
from emocatcher.models import model_folder
from emocatcher.models.finding import find_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.models.onnx_session import OnnxSession
from emocatcher.models.overlapping_clips import OverlappingClips
from emocatcher.recognition import cautions, failures, parallel, settling, timeline
from emocatcher.recognition.prediction import Caution, Failure, Prediction
from emocatcher.recognition.settling import Settled
from emocatcher.recognition.timeline import LONG_S, Stream, Timeline, summarise


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
        self._judge = Judge(model.config.conditions) if model.config.conditions else None
        self.overlapping = OverlappingClips(model, self._session) if self._session.has_states else None

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
        abstain_below: float | None = None,
        longest_s: float = math.inf,
        on_timeline: Callable[[Timeline], object] | None = None,
        threads: int | None = None,
    ) -> Prediction:
        """Recognise one recording: as one utterance, or by the `shares` of its timeline if it is longer than 10 s.

        Args:
            source: a path, an encoded file's bytes, or (samples, sample_rate).
            abstain_below: a prediction with a lower probability is marked `abstain`; None for the model's threshold.
            longest_s: longer recordings are refused, seconds.
            on_timeline: called with the timeline of a recording that is longer than 10 s.
            threads: as for `timeline`, for such a recording.

        Raises:
            AudioError: if the recording cannot be used, or is longer than `longest_s`.
            SettingError: if `abstain_below` is not within 0 … 1.
        """
        threshold = self._threshold(abstain_below)
        settings, path = self.config.settings, failures.path_of(source)
        if path and is_pipe(path):
            source = readable(path)  # a pipe can be read only once, and a long recording is opened twice
        try:
            recording = audio.read(source, settings.front_end.sample_rate, longest_s=min(longest_s, LONG_S))
        except TooLongError:
            if longest_s <= LONG_S:
                raise
            long = self.timeline(source, abstain_below=abstain_below, longest_s=longest_s, threads=threads)
            if on_timeline is not None:
                on_timeline(long)
            return msgspec.structs.replace(summarise(long), path=path)
        channels = extraction.compute_channels(recording.waveform, settings.front_end)
        clip = extraction.cut_voiced_span(channels, recording.waveform, settings.front_end, settings.vad)
        found = cautions.find(recording, channels[: settings.front_end.n_mels], clip, settings.front_end, self._judge)
        return self._prediction(path, clip, found, threshold)

    def predict_many(
        self,
        sources: Iterable[audio.Source],
        *,
        workers: int = 1,
        ordered: bool = True,
        abstain_below: float | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Recognise many recordings; one that cannot be used gives a `Failure`, and the others continue.

        Args:
            sources: as for `predict`; consumed lazily, so there may be millions. A value that cannot be a recording,
                such as None or NaN in a column of paths, gives a `Failure` with the error "TypeError".
            workers: number of worker processes; 1 runs in this process.
            ordered: whether results come in the order of the sources, or as soon as they are ready.
            abstain_below: as for `predict`.

        Raises:
            SettingError: if `workers` or `abstain_below` is out of range.
        """
        self._threshold(abstain_below)
        predict = partial(self.predict, abstain_below=abstain_below, threads=None if workers == 1 else 1)
        sendable = map(partial(failures.sendable, predict), sources)
        task = partial(failures.attempt, predict)
        return parallel.ordered_map(task, sendable, n_workers=workers, ordered=ordered, on_death=failures.worker_died)

    def timeline(
        self,
        source: audio.Source,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        *,
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
            abstain_below: as for `predict`, for windows and segments.
            longest_s: as for `predict`.
            on_block: called with each block of the waveform, at the model's rate, as soon as its windows are prepared.
            threads: 2 to run the network in a second thread, 1 to run everything in one; the result is the same. None
                for 2 if this process may use two cores, else 1.

        Raises:
            AudioError: if the recording cannot be used, or is longer than `longest_s`.
            SettingError: if the window, the hop, `abstain_below` or `threads` is out of range.
        """
        threshold = self._threshold(abstain_below)
        return timeline.recognise(
            self, speech_gate.has_speech_at_once, source, window_s, hop_s, threshold, on_block, threads,
            longest_s=longest_s, judge=self._judge,
        )  # fmt: skip

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
        settings = self.config.settings
        recording = audio.read(source, settings.front_end.sample_rate, longest_s=LONG_S)
        clip = extraction.extract(recording.waveform, settings.front_end, settings.vad)

        def classify(channels: list[NDArray[np.float32]]) -> NDArray[np.float64]:
            return np.log(self.probabilities(self.run(channels)[0]) + 1e-300)  # whose softmax gives them again

        return self._over_time(clip, faithfulness.occlusion(classify, clip.channels, settings))

    def run(
        self, channels: Sequence[NDArray[np.float32]], batch_size: int = 64
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Run the network on extracted features.

        Args:
            channels: one array of shape (n_channels, n_frames) per clip, `Features.channels`.
            batch_size: clips at a time; it affects the speed, not the result (≤ 1e-5).

        Returns:
            logits: shape (n_clips, n_classes), float32.
            attention: one array of shape (n_frames',) per clip, summing to 1.

        Raises:
            ModelError: if the network fails, or its outputs are not finite.
        """
        logits, attention = [], []
        for start in range(0, len(channels), batch_size):
            batch, lengths = pad_batch(channels[start : start + batch_size])
            batch_logits, weights = self._session.run(batch, lengths, self.config.settings.network.n_steps(lengths))
            logits.append(batch_logits)
            attention += weights
        return np.concatenate(logits), attention

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Convert logits, shape (n_clips, n_classes), to calibrated probabilities of the same shape."""
        probabilities = softmax(logits, self.config.temperature)
        if self.settled is not None:
            probabilities = settling.apply(probabilities, self.settled.shift)
        if self._emotions is not None:
            kept = probabilities[:, self._kept]
            probabilities = kept / kept.sum(axis=1, keepdims=True)
        return probabilities

    def _threshold(self, abstain_below: float | None) -> float:
        if abstain_below is not None and not 0.0 <= abstain_below <= 1.0:
            raise SettingError(f"The threshold for abstaining is {abstain_below:g}. Give a probability, 0 to 1")
        return self.config.abstain_below if abstain_below is None else abstain_below

    def _prediction(self, path: str, clip: Features, found: tuple[Caution, ...], threshold: float) -> Prediction:
        prediction = Prediction(
            path=path,
            abstain=True,
            duration_s=clip.duration_s,
            model=self.config.name,
            model_version=self.config.version,
            settled_on=self.n_settled_on,
            warnings=found,
        )
        if any(caution.code == "no-speech" for caution in found):
            return prediction
        logits, attention = self.run([clip.channels])
        return prediction.answered(
            dict(zip(self.config.labels, self.probabilities(logits)[0].tolist(), strict=True)),
            threshold,
            voiced_start_s=clip.voiced_start_s,
            voiced_end_s=clip.voiced_end_s,
            attention=self._over_time(clip, attention[0]),
        )

    def _over_time(self, clip: Features, values: NDArray[np.floating]) -> tuple[tuple[float, float], ...]:
        """Pair each attention step's value with the step's time in the recording, seconds."""
        settings = self.config.settings
        step_s = settings.network.frames_per_step * settings.front_end.frame_period_s
        return tuple((round(clip.voiced_start_s + i * step_s, 6), value) for i, value in enumerate(values.tolist()))


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
