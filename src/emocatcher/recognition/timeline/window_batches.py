"""Run the network on groups of windows, optionally in its own thread while the next windows are prepared."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.dimensions import Dimension
from emocatcher.foundation.settings import Settings
from emocatcher.models.onnx_session import Answers
from emocatcher.recognition.timeline.windows import Windows

_BATCH_SIZE = 32  # windows; fewer would make the network's thread wait for the GIL more often, more need more padding
_GROUP_SIZE = 128  # windows that are sorted into batches of similar length
_MOST_FRAMES_AT_ONCE = 3000  # of one clip for an encoder, whose memory grows with the square of the length
_MAX_FRAMES = 1 << 16  # in a group and in a batch, because a window may be ten minutes long


class OverlappingClips(Protocol):
    """See `emocatcher.models.overlapping_clips`."""

    def run(self, clips: Sequence[NDArray[np.float32]], first_frames: Sequence[int]) -> Answers:
        """Map arrays of shape (n_channels, n_frames) and their places to logits and dimensions."""


class NetworkConfig(Protocol):
    """The fields that recognition reads from a model's config."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def dimensions(self) -> tuple[Dimension, ...]: ...  # noqa: D102

    @property
    def settings(self) -> Settings: ...  # noqa: D102

    @property
    def longest_voiced_s(self) -> float | None: ...  # noqa: D102


class Network(Protocol):
    """The interface that the timeline needs from a model; `emocatcher.Recognizer` implements it."""

    @property
    def config(self) -> NetworkConfig:
        """The model's config."""

    @property
    def overlapping(self) -> OverlappingClips | None:
        """The network for clips of one recording that overlap; None if it cannot share the work."""

    @property
    def n_settled_on(self) -> int:
        """The number of recordings that it settled on (see `settling`)."""

    def run(self, channels: Sequence[NDArray[np.float32]], batch_size: int = ...) -> Answers:
        """Map arrays of shape (n_channels, n_frames) to logits, attention and dimensions."""

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Map logits to calibrated probabilities, both of shape (n_clips, n_classes)."""


class PreparedWindow(NamedTuple):
    """A window that is ready for the network."""

    start_s: float
    end_s: float
    voiced_start_s: float
    voiced_end_s: float
    clip: NDArray[np.float32] | None  # (n_channels, n_frames), the voiced span; None without speech
    first: int = 0  # frame of the whole waveform, the first of the clip


class WindowBatches:
    """Recognises windows in groups and returns the results in order.

    Args:
        network: the model.
        abstain_below: a window with a lower probability is marked `abstain`.
        executor: a pool of one thread in which the network runs while the caller continues; None to run the network
            in the caller's thread.
        is_shared: whether windows that overlap may share the network's work, if it can do so; the results then depend
            on the windows of the same group.
    """

    def __init__(
        self, network: Network, abstain_below: float, executor: Executor | None, *, is_shared: bool = False
    ) -> None:
        self._is_shared = is_shared
        self._network, self._abstain_below, self._executor = network, abstain_below, executor
        self._waiting: list[PreparedWindow] = []
        self._n_frames = 0  # of the waiting windows
        self._running: Future[Windows] | None = None  # only one group runs at a time, which bounds the memory
        self._results: list[Windows] = []

    def add(self, window: PreparedWindow) -> None:
        """Add a window. Run the network when a group is full."""
        self._waiting.append(window)
        self._n_frames += 0 if window.clip is None else window.clip.shape[1]
        if len(self._waiting) == _GROUP_SIZE or self._n_frames >= _MAX_FRAMES:
            self._submit()

    def take(self, *, everything: bool) -> Windows:
        """Return the results not returned yet: of all windows added, or, without waiting, of those already done."""
        if everything and self._waiting:
            self._submit()
        if everything or (self._running is not None and self._running.done()):
            self._collect()
        results, self._results = self._results, []
        return Windows.join(self._network.config.labels, results)

    def _submit(self) -> None:
        windows, self._waiting, self._n_frames = self._waiting, [], 0
        self._collect()
        if self._executor is not None:
            try:
                self._running = self._executor.submit(self._recognise, windows)
            except RuntimeError:  # the pool takes no more tasks, as when the main thread has ended: use this thread
                self._executor = None
            else:
                return
        self._results.append(self._recognise(windows))

    def _collect(self) -> None:
        if self._running is not None:
            self._results.append(self._running.result())
            self._running = None

    def _recognise(self, windows: Sequence[PreparedWindow]) -> Windows:
        labels = self._network.config.labels
        times_s = np.array([window[:4] for window in windows], np.float64)
        clips = [window.clip for window in windows if window.clip is not None]
        speech = np.array([window.clip is not None for window in windows], np.bool_)
        probabilities = np.full((len(windows), len(labels)), np.nan)
        ratings = np.full((len(windows), len(self._network.config.dimensions)), np.nan)
        if clips:
            logits, ratings[speech] = self._answers(windows, clips)
            probabilities[speech] = self._network.probabilities(logits)
        abstain = ~speech
        abstain[speech] = probabilities[speech].max(axis=1) < self._abstain_below
        start_s, end_s, voiced_start_s, voiced_end_s = times_s.T
        return Windows(labels, start_s, end_s, voiced_start_s, voiced_end_s, speech, probabilities, abstain, ratings)

    def _answers(
        self, windows: Sequence[PreparedWindow], clips: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits and dimensions of the clips of the windows that have one."""
        if self._is_shared and self._network.overlapping is not None:
            first_frames = [window.first for window in windows if window.clip is not None]
            logits, _, dimensions = self._network.overlapping.run(clips, first_frames)
            return logits, dimensions
        longest = max(clip.shape[1] for clip in clips)
        if self._network.overlapping is not None and longest > _MOST_FRAMES_AT_ONCE:
            each = [self._network.overlapping.run([clip], [0]) for clip in clips]
            return np.concatenate([one.logits for one in each]), np.concatenate([one.dimensions for one in each])
        # Sort by length, because the network pads every clip to the longest one in its batch.
        order = np.argsort([clip.shape[1] for clip in clips], kind="stable")
        batch_size = min(_BATCH_SIZE, max(_MAX_FRAMES // longest, 1))
        if self._network.overlapping is not None:
            batch_size = min(batch_size, (_MOST_FRAMES_AT_ONCE // longest) ** 2)  # the memory of one clip at most
        logits, _, dimensions = self._network.run([clips[i] for i in order], batch_size)
        places = np.argsort(order)
        return logits[places], dimensions[places]
