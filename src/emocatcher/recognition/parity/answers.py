"""The answers of an exported file and of the Python pipeline for the same clips, and the time that each takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import extraction
from emocatcher.features.padding import pad_batch
from emocatcher.foundation.errors import ModelError, one_line
from emocatcher.recognition.timeline import Network

PARITY_ERROR = 1e-3  # of a probability: the largest difference allowed for an exported float graph
CLEAR_MARGIN = 0.01  # between the two largest probabilities: above it, the label must not change
_SPAN_ERROR_S = 1e-4  # a frame is hundreds of times longer, and float32 rounds a time by far less


class Answer(NamedTuple):
    """The answer for one clip."""

    probabilities: NDArray[np.floating]  # (n_classes,), calibrated
    voiced_start_s: float
    voiced_end_s: float


Pipeline = Callable[[audio.Waveform], Answer]  # from waveform to answer


class Answers(NamedTuple):
    """The answers of one pipeline, for all clips."""

    probabilities: NDArray[np.float64]  # (n_clips, n_classes)
    voiced_s: NDArray[np.float64]  # (n_clips, 2)
    ms_per_clip: float  # the median

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each clip, shape (n_clips,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def margin(self) -> NDArray[np.float64]:
        """The largest probability minus the second largest, shape (n_clips,)."""
        ordered = np.sort(self.probabilities, axis=1)
        return np.asarray(ordered[:, -1] - (ordered[:, -2] if ordered.shape[1] > 1 else 0.0))


class Difference(NamedTuple):
    """The difference between the answers of two pipelines."""

    largest: float  # of any probability
    n_same_label: int
    n_clear_changed: int  # labels that differ although the margin exceeds `CLEAR_MARGIN`
    n_spans_changed: int  # voiced spans that differ by a frame or more

    @property
    def is_parity(self) -> bool:
        """Whether it is within the tolerance for an export."""
        return self.largest <= PARITY_ERROR and self.n_clear_changed == 0


def python_path(network: Network) -> Pipeline:
    """Return the pipeline of this package's features and the model folder's network."""
    settings = network.config.settings

    def recognise(waveform: audio.Waveform) -> Answer:
        clip = extraction.extract(audio.remove_offset(waveform), settings.front_end, settings.vad)
        probabilities = network.probabilities(network.run([clip.channels])[0])[0]
        return Answer(probabilities, clip.voiced_start_s, clip.voiced_end_s)

    return recognise


def log_mel_graph(payload: bytes, network: Network) -> Pipeline:
    """Return the pipeline of this package's features, a graph from `to_onnx`, and the calibration of `network`."""
    run, settings = _opened(payload), network.config.settings

    def recognise(waveform: audio.Waveform) -> Answer:
        clip = extraction.extract(audio.remove_offset(waveform), settings.front_end, settings.vad)
        channels, lengths = pad_batch([clip.channels])
        logits = run({"log_mel": channels, "lengths": lengths})[0]  # the published name of the graph's input
        return Answer(network.probabilities(logits)[0], clip.voiced_start_s, clip.voiced_end_s)

    return recognise


def waveform_graph(payload: bytes) -> Pipeline:
    """Return the pipeline of a graph from `to_waveform_onnx` alone."""
    run = _opened(payload)

    def recognise(waveform: audio.Waveform) -> Answer:
        probabilities, _, start_s, end_s = run({"waveform": waveform})
        return Answer(probabilities, float(start_s), float(end_s))

    return recognise


def compare(
    pipelines: Mapping[str, Pipeline], clips: Iterable[audio.Waveform], on_clip: Callable[[int], None] | None = None
) -> dict[str, Answers]:
    """Recognise every clip with every pipeline.

    Args:
        pipelines: by name.
        clips: shape (n_samples,) each, at the model's rate; at least one; they are never in memory all at once.
        on_clip: called after each clip with the number of clips done.

    Returns:
        the answers, by the same names.
    """
    found: dict[str, list[Answer]] = {name: [] for name in pipelines}
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    for number, waveform in enumerate(clips, 1):
        for name, pipeline in pipelines.items():  # in turn, because the speed of a machine drifts
            start = time.perf_counter()
            found[name].append(pipeline(waveform))
            seconds[name].append(time.perf_counter() - start)
        if on_clip is not None:
            on_clip(number)
    return {
        name: Answers(
            np.stack([answer.probabilities for answer in answers]).astype(np.float64),
            np.array([answer[1:] for answer in answers]),
            1000.0 * float(np.median(seconds[name])),
        )
        for name, answers in found.items()
    }


def difference(ours: Answers, theirs: Answers) -> Difference:
    """Compare two pipelines' answers for the same clips."""
    same = ours.labels == theirs.labels
    return Difference(
        largest=float(np.abs(ours.probabilities - theirs.probabilities).max()),
        n_same_label=int(same.sum()),
        n_clear_changed=int((~same & (ours.margin > CLEAR_MARGIN)).sum()),
        n_spans_changed=int((np.abs(ours.voiced_s - theirs.voiced_s) > _SPAN_ERROR_S).any(axis=1).sum()),
    )


def _opened(payload: bytes) -> Callable[[dict[str, NDArray[np.generic]]], list[NDArray[np.float32]]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # as in the recogniser

    def refused(error: Exception) -> ModelError:
        reason = one_line(str(error).partition("\n")[0][:300])
        return ModelError(f"The weights do not fit the network of the model's settings: {reason}. Copy the model again")

    try:
        session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no other common base class
        raise refused(error) from error

    def run(inputs: dict[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        try:
            outputs: list[NDArray[np.float32]] = session.run(None, inputs)
        except Exception as error:  # as above
            raise refused(error) from error
        return outputs

    return run
