"""The `Recognizer`: a recording → an emotion, how sure, and where it was heard. ONNX Runtime, no PyTorch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.evaluation.scoring import faithfulness
from emocatcher.evaluation.scoring.softmax import softmax
from emocatcher.features import extraction, speech_gate
from emocatcher.features.extraction import Features
from emocatcher.features.padding import pad_batch
from emocatcher.features.training_conditions import Judge
from emocatcher.foundation.errors import AudioError, ModelError, SettingError, did_you_mean
from emocatcher.models import hub, model_folder
from emocatcher.models.model_folder import Bundle
from emocatcher.recognition import cautions, parallel, timeline
from emocatcher.recognition.prediction import Caution, Failure, Prediction
from emocatcher.recognition.timeline import Stream, Timeline

LONGEST_S = 600.0  # of a recording taken as one utterance; beyond, memory would grow with its length


class Recognizer:
    """A model folder, ready to listen. May be used by several threads at once, and sent to other processes.

    Args:
        model: an opened model folder.

    Raises:
        ModelError: if its network cannot be run, or is another than its settings say.
    """

    def __init__(self, model: Bundle) -> None:
        # A third of a second to import; reading a model's card should not pay it.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One clip is too little work to share out: threads that wait for each other cost more than they do.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.path = model.path
        self.config = model.config
        self._judge = Judge(model.config.conditions) if model.config.conditions else None
        try:
            self._session = onnxruntime.InferenceSession(
                str(model.onnx_path), options, providers=["CPUExecutionProvider"]
            )
            labels = json.loads(self._session.get_modelmeta().custom_metadata_map.get("labels", "[]"))
        except Exception as error:  # ONNX Runtime raises a dozen kinds, with no common base but this
            reason = str(error).splitlines()[0]
            raise ModelError(f"{model.onnx_path} cannot be run: {reason}. Copy the model folder again") from error
        if tuple(labels) != self.config.labels:
            raise ModelError(
                f"{model.onnx_path} names the emotions {', '.join(labels) or '(none)'}, but {model_folder.CONFIG} "
                f"{', '.join(self.config.labels)}. Copy the model folder again"
            )

    def __repr__(self) -> str:
        config = self.config
        return (
            f"Recognizer('{config.name}', {config.settings.front_end.sample_rate} Hz, "
            f"labels: {', '.join(config.labels)})"
        )

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        # The session stays behind: whoever receives it opens the folder anew.
        return load, (self.path.absolute(),)

    def predict(
        self, source: audio.Source, *, abstain_below: float | None = None, longest_s: float = LONGEST_S
    ) -> Prediction:
        """Recognise one recording, taken as one utterance.

        Args:
            source: a path, an encoded file's bytes, or (samples, sample_rate).
            abstain_below: the probability under which the answer is marked `abstain`; None for the model's own.
            longest_s: a longer recording is refused, seconds.

        Raises:
            AudioError: if the recording cannot be used, or is longer.
            SettingError: if `abstain_below` is not within 0 … 1.
        """
        threshold = self._threshold(abstain_below)
        settings = self.config.settings
        recording = audio.read(source, settings.front_end.sample_rate, longest_s=longest_s)
        channels = extraction.whole(recording.waveform, settings.front_end)
        duration_s = len(recording.waveform) / recording.sample_rate
        clip = extraction.voiced(channels, duration_s, settings.front_end, settings.vad)
        found = cautions.find(recording, channels[: settings.front_end.n_mels], clip, settings.front_end, self._judge)
        return self._prediction(_path(source), clip, found, threshold)

    def predict_many(
        self,
        sources: Iterable[audio.Source],
        *,
        workers: int = 1,
        ordered: bool = True,
        abstain_below: float | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Recognise many recordings; one that cannot be used gives a `Failure` and stops nothing.

        Args:
            sources: as for `predict`; taken as they are needed, so there may be millions.
            workers: processes; 1 works in this one.
            ordered: whether outcomes come in the order of the sources, or as they are ready.
            abstain_below: as for `predict`.

        Raises:
            SettingError: if `workers` or `abstain_below` is not allowed.
        """
        self._threshold(abstain_below)
        task = partial(_predict, self, abstain_below)
        return parallel.ordered_map(task, sources, n_workers=workers, ordered=ordered, on_death=_lost)

    def timeline(
        self,
        source: audio.Source,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        *,
        abstain_below: float | None = None,
        on_block: Callable[[audio.Waveform], object] | None = None,
        threads: int | None = None,
    ) -> Timeline:
        """Recognise a recording of any length window by window.

        Args:
            source: as for `predict`; of any length, for it is never held as a whole.
            window_s: length of a window, seconds.
            hop_s: from one window to the next, seconds.
            abstain_below: as for `predict`, of windows and segments.
            on_block: called with each block of the waveform, at the model's rate, as soon as its windows are prepared.
            threads: 2 to run the network beside all else, 1 for one after the other, with the same answer; None for 2
                where this process may use two cores.

        Raises:
            AudioError: if the recording cannot be used.
            SettingError: if the lengths make no sense, or `abstain_below` or `threads` is not allowed.
        """
        threshold = self._threshold(abstain_below)
        return timeline.recognise(
            self, speech_gate.has_speech_at_once, source, window_s, hop_s, threshold, on_block, threads
        )

    def stream(
        self, sample_rate: int, window_s: float = 3.0, hop_s: float = 0.5, *, abstain_below: float | None = None
    ) -> Stream:
        """Recognise sound while it is still coming: push chunks of it, and windows come back.

        Args:
            sample_rate: of the chunks, Hz.
            window_s: length of a window, seconds.
            hop_s: from one window to the next, seconds.
            abstain_below: as for `predict`, of windows.

        Raises:
            SettingError: if the rate or the lengths make no sense, or `abstain_below` is not allowed.
        """
        return Stream(
            self, speech_gate.has_speech_at_once, sample_rate, window_s, hop_s, self._threshold(abstain_below)
        )

    def occlusion(self, source: audio.Source) -> tuple[tuple[float, float], ...]:
        """Where in the sound the answer comes from, found without asking attention (see `faithfulness.occlusion`).

        Spans of a fifth of a second are taken out of the recording, one after the other. It runs the network once for
        each, so that its cost grows with the square of the recording's length: a tenth of a second for a sentence.

        Args:
            source: as for `predict`.

        Returns:
            (time_s, fall) for each weight of `Prediction.attention`: seconds from the start of the recording, and how
            far the answer's calibrated probability falls without this moment, in -1..1. Empty where the voiced span
            is too short to lose anything.

        Raises:
            AudioError: if the recording cannot be used, or is longer than `LONGEST_S`.
        """
        settings = self.config.settings
        recording = audio.read(source, settings.front_end.sample_rate, longest_s=LONGEST_S)
        clip = extraction.extract(recording.waveform, settings.front_end, settings.vad)

        def classify(channels: list[NDArray[np.float32]]) -> NDArray[np.float64]:
            return self.run(channels)[0] / np.float64(self.config.temperature)

        return self._over_time(clip, faithfulness.occlusion(classify, clip.channels, settings))

    def run(
        self, channels: Sequence[NDArray[np.float32]], batch_size: int = 64
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Run the network on extracted features.

        Args:
            channels: one array of shape (n_channels, n_frames) per clip, `Features.channels`.
            batch_size: clips at a time; it changes the speed, not the answer (≤ 1e-5).

        Returns:
            logits: shape (n_clips, n_classes), float32.
            attention: one array of shape (n_frames',) per clip, summing to 1.
        """
        logits, attention = [], []
        for start in range(0, len(channels), batch_size):
            log_mel, lengths = pad_batch(channels[start : start + batch_size])
            outputs: list[Any] = self._session.run(None, {"log_mel": log_mel, "lengths": lengths})
            logits.append(outputs[0])
            pooled = self.config.settings.network.n_steps(lengths)
            attention += [weights[:n] for weights, n in zip(outputs[1], pooled, strict=True)]
        return np.concatenate(logits), attention

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (n_clips, n_classes), from logits of the same shape."""
        return softmax(logits, self.config.temperature)

    def _threshold(self, asked: float | None) -> float:
        if asked is not None and not 0.0 <= asked <= 1.0:
            raise SettingError(f"The threshold for abstaining is {asked:g}. Give a probability, 0 to 1")
        return self.config.abstain_below if asked is None else asked

    def _prediction(self, path: str, clip: Features, found: tuple[Caution, ...], threshold: float) -> Prediction:
        logits, attention = self.run([clip.channels])
        probabilities = self.probabilities(logits)[0]
        second, first = np.sort(probabilities)[-2:] if len(probabilities) > 1 else (0.0, probabilities[0])
        return Prediction(
            path=path,
            emotion=self.config.labels[int(probabilities.argmax())],
            probability=float(first),
            probabilities=dict(zip(self.config.labels, probabilities.tolist(), strict=True)),
            margin=float(first - second),
            entropy=float(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum()),
            # Where nobody spoke there is nothing to be sure of.
            abstain=bool(first < threshold) or any(caution.code == "no-speech" for caution in found),
            voiced_start_s=clip.voiced_start_s,
            voiced_end_s=clip.voiced_end_s,
            duration_s=clip.duration_s,
            attention=self._over_time(clip, attention[0]),
            model=self.config.name,
            model_version=self.config.version,
            warnings=found,
        )

    def _over_time(self, clip: Features, values: NDArray[np.floating]) -> tuple[tuple[float, float], ...]:
        """One value for each attention step, with the step's time in the recording, seconds."""
        settings = self.config.settings
        step_s = settings.network.frames_per_step * settings.front_end.frame_period_s
        return tuple((round(clip.voiced_start_s + i * step_s, 6), value) for i, value in enumerate(values.tolist()))


def _predict(recognizer: Recognizer, abstain_below: float | None, source: audio.Source) -> Prediction | Failure:
    try:
        return recognizer.predict(source, abstain_below=abstain_below)
    except AudioError as error:
        return Failure(path=_path(source), error=type(error).__name__, message=error.reason)
    except MemoryError:
        return Failure(path=_path(source), error="MemoryError", message="there is not enough memory for it")


def _lost(source: audio.Source) -> Failure:
    message = "the process that read it ended before its time: killed, or brought down by the file"
    return Failure(path=_path(source), error="WorkerDied", message=message)


def _path(source: audio.Source) -> str:
    return os.fspath(source) if isinstance(source, str | Path) else ""


def load(model: str | Path | None = None) -> Recognizer:
    """Open a model for recognition.

    Args:
        model: None for the one that comes with the package, or its name; a model folder; or a name on the Hugging
            Face hub, "owner/name" or "owner/name@revision" (needs the extra `hub`).

    Raises:
        ModelError: if there is no such model, or a part of it is missing or altered.

    Examples:
        >>> load()
        Recognizer('emocatcher-2', 22050 Hz, labels: neutral, calm, happy, sad, angry, fearful, disgust, surprised)
    """
    return Recognizer(model_folder.read(folder_of(model)))


def folder_of(model: str | Path | None) -> Path:
    """The model folder that `load` opens; one on the hub is fetched.

    Raises:
        ModelError: if there is no such model.
    """
    name = model_folder.BUNDLED if model is None else str(model)
    if model is not None and Path(model).exists():
        return Path(model)
    if (folder := model_folder.bundled(name)) is not None:
        return folder
    if isinstance(model, str) and hub.looks_like_name(model):
        return hub.fetch(model)
    names = model_folder.bundled_names()
    raise ModelError(
        f"No model '{name}'.{did_you_mean(name, names)} Give a model folder, {' or '.join(names)} (they come with "
        "emocatcher), or owner/name on the Hugging Face hub"
    )
