"""Recognise a recording as one utterance: the result is a `Prediction`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.evaluation.scoring import faithfulness
from emocatcher.features import extraction
from emocatcher.features.extraction import Features
from emocatcher.foundation.settings import Settings
from emocatcher.recognition import cautions
from emocatcher.recognition.prediction import Prediction, rate
from emocatcher.recognition.timeline import Network


def recognise(
    network: Network,
    recording: audio.Recording,
    abstain_below: float,
    *,
    path: str,
    channel: int | None,
) -> Prediction:
    """Recognise a recording that was read.

    Args:
        network: the model.
        recording: at the model's sample rate.
        abstain_below: the prediction is marked `abstain` if its probability is lower.
        path: of the recording, as given.
        channel: that was read alone, from 1; None for the mix.
    """
    config = network.config
    settings, front_end = config.settings, config.settings.front_end
    channels = extraction.compute_channels(recording.waveform, front_end)
    clip = extraction.cut_voiced_span(channels, recording.waveform, front_end, settings.vad)
    found = cautions.find(recording, channels[: front_end.n_mels], clip, front_end, config.longest_voiced_s)
    prediction = Prediction(
        path=path,
        channel=channel,
        abstain=True,
        duration_s=clip.duration_s,
        model=config.name,
        model_version=config.version,
        settled_on=network.n_settled_on,
        warnings=found,
    )
    if any(caution.code == "no-speech" for caution in found):
        return prediction
    answers = network.run([clip.channels])
    return prediction.answered(
        dict(zip(config.labels, network.probabilities(answers.logits)[0].tolist(), strict=True)),
        abstain_below,
        voiced_start_s=clip.voiced_start_s,
        voiced_end_s=clip.voiced_end_s,
        attention=_over_time(clip, answers.attention[0], settings),
        dimensions=rate(config.dimensions, answers.dimensions[0].tolist()),
    )


def occlusion(network: Network, recording: audio.Recording) -> tuple[tuple[float, float], ...]:
    """Measure how much each moment contributes to the prediction (see `Recognizer.occlusion`)."""
    settings = network.config.settings
    clip = extraction.extract(recording.waveform, settings.front_end, settings.vad)

    def classify(channels: list[NDArray[np.float32]]) -> NDArray[np.float64]:
        return np.log(network.probabilities(network.run(channels)[0]) + 1e-300)  # whose softmax gives them again

    return _over_time(clip, faithfulness.occlusion(classify, clip.channels, settings), settings)


def _over_time(clip: Features, values: NDArray[np.floating], settings: Settings) -> tuple[tuple[float, float], ...]:
    """Pair each attention step's value with the step's time in the recording, seconds."""
    step_s = settings.network.frames_per_step * settings.front_end.frame_period_s
    return tuple((round(clip.voiced_start_s + i * step_s, 6), value) for i, value in enumerate(values.tolist()))
