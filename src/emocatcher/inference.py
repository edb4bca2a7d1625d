"""The `Recognizer`: a recording → an emotion, how sure, and where it was heard. ONNX Runtime, no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio, bundle, features
from emocatcher.bundle import Bundle
from emocatcher.dataset import pad_batch
from emocatcher.errors import ModelError


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard in one recording."""

    path: str
    emotion: str
    probability: float  # of that emotion
    probabilities: dict[str, float]
    attention: tuple[tuple[float, float], ...]  # (time in s, weight); the weights sum to 1
    voiced_start_s: float
    voiced_end_s: float
    duration_s: float
    model: str
    warnings: tuple[str, ...] = ()


class Recognizer:
    """A model folder, ready to listen.

    Args:
        model: an opened model folder.
    """

    def __init__(self, model: Bundle) -> None:
        # A third of a second to import; reading a model's card should not pay it.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One clip is too little work to share out: threads that wait for each other cost more than they do.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.config = model.config
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
                f"{model.onnx_path} names the emotions {', '.join(labels) or '(none)'}, but {bundle.CONFIG} "
                f"{', '.join(self.config.labels)}. Copy the model folder again"
            )

    def __repr__(self) -> str:
        config = self.config
        return (
            f"Recognizer('{config.name}', {config.settings.front_end.sample_rate} Hz, "
            f"labels: {', '.join(config.labels)})"
        )

    def predict(self, source: audio.Source) -> Prediction:
        """Recognise one recording.

        Args:
            source: a path, an encoded file's bytes, or (samples, sample_rate).

        Raises:
            AudioError: if the recording cannot be used.
        """
        settings = self.config.settings
        waveform, _ = audio.load(source, settings.front_end.sample_rate)
        clip = features.extract(waveform, settings.front_end, settings.vad)
        logits, attention = self.run([clip.log_mel])
        probabilities = self.probabilities(logits)[0]
        best = int(probabilities.argmax())
        step_s = settings.network.pool_size * settings.front_end.frame_period_s
        weights = attention[0]
        return Prediction(
            path=str(source) if isinstance(source, str | Path) else "",
            emotion=self.config.labels[best],
            probability=float(probabilities[best]),
            probabilities=dict(zip(self.config.labels, map(float, probabilities), strict=True)),
            attention=tuple(
                (round(clip.voiced_start_s + i * step_s, 6), float(weight)) for i, weight in enumerate(weights)
            ),
            voiced_start_s=clip.voiced_start_s,
            voiced_end_s=clip.voiced_end_s,
            duration_s=clip.duration_s,
            model=self.config.name,
            warnings=() if clip.span.found else ("no voiced span stands out: the whole recording was used",),
        )

    def run(
        self, log_mels: Sequence[NDArray[np.float32]], batch_size: int = 64
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Run the network on extracted features.

        Args:
            log_mels: one array of shape (n_mels, n_frames) per clip.
            batch_size: clips at a time; it changes the speed, not the answer (≤ 1e-5).

        Returns:
            logits: shape (n_clips, n_classes), float32.
            attention: one array of shape (n_frames',) per clip, summing to 1.
        """
        logits, attention = [], []
        for start in range(0, len(log_mels), batch_size):
            log_mel, lengths = pad_batch(log_mels[start : start + batch_size])
            outputs: list[Any] = self._session.run(None, {"log_mel": log_mel, "lengths": lengths})
            logits.append(outputs[0])
            pooled = np.maximum(lengths // self.config.settings.network.pool_size, 1)
            attention += [weights[:n] for weights, n in zip(outputs[1], pooled, strict=True)]
        return np.concatenate(logits), attention

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (n_clips, n_classes), from logits of the same shape."""
        scaled = logits.astype(np.float64) / self.config.temperature
        exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


def load(model: str | Path) -> Recognizer:
    """Open a model folder for recognition.

    Args:
        model: the folder.

    Raises:
        ModelError: if it is not a model folder, or a part of it is missing or altered.
    """
    return Recognizer(bundle.read(Path(model)))
