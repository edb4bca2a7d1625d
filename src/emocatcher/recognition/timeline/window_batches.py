"""Run the network on groups of windows, optionally in threads of its own while the next windows are prepared."""

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
_MAX_FRAMES = 1 << 16  # in a group and in a batch, because a window may be ten minutes long


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


class _Group(NamedTuple):
    """Windows of which the network recognises the clips."""

    windows: Sequence[PreparedWindow]
    clip_of: list[int]  # of each window with speech
    batches: list[tuple[NDArray[np.int64], Future[Answers]]]  # which clips, and their answers

    def is_done(self) -> bool:
        """Whether all clips are recognised."""
        return all(answers.done() for _, answers in self.batches)


class WindowBatches:
    """Recognises windows in groups and returns the results in order.

    Args:
        network: the model.
        abstain_below: a window with a lower probability is marked `abstain`.
        executor: a pool of threads in which the network runs while the caller continues; None to run the network in
            the caller's thread.
    """

    def __init__(self, network: Network, abstain_below: float, executor: Executor | None) -> None:
        self._network, self._abstain_below, self._executor = network, abstain_below, executor
        self._waiting: list[PreparedWindow] = []
        self._n_frames = 0  # of the waiting windows
        self._running: _Group | None = None  # only one group runs at a time, which bounds the memory
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
        if everything or (self._running is not None and self._running.is_done()):
            self._collect()
        results, self._results = self._results, []
        return Windows.join(self._network.config.labels, results)

    def _submit(self) -> None:
        windows, self._waiting, self._n_frames = self._waiting, [], 0
        self._collect()
        # Neighbours with the same voiced span, as around a word between pauses, mostly have the same clip. It differs
        # if one of them has a louder sound elsewhere, because quiet cells are raised to a level below the loudest.
        places: dict[tuple[int, int], int] = {}
        clips: list[NDArray[np.float32]] = []
        clip_of = []
        for window in windows:
            if window.clip is not None:
                span = window.first, window.clip.shape[1]
                if span not in places or not np.array_equal(clips[places[span]], window.clip):
                    places[span] = len(clips)
                    clips.append(window.clip)
                clip_of.append(places[span])
        # Sorted by length, because the network pads every clip to the longest one in its batch; the longest first,
        # because that leaves the threads the least to wait for at the end.
        order = np.argsort([-clip.shape[1] for clip in clips], kind="stable")
        batch_size = min(_BATCH_SIZE, max(_MAX_FRAMES // clips[order[0]].shape[1], 1)) if clips else _BATCH_SIZE
        batches = (order[start : start + batch_size] for start in range(0, len(clips), batch_size))
        self._running = _Group(windows, clip_of, [(batch, self._run([clips[i] for i in batch])) for batch in batches])
        if self._executor is None:
            self._collect()

    def _run(self, clips: list[NDArray[np.float32]]) -> Future[Answers]:
        if self._executor is not None:
            try:
                return self._executor.submit(self._network.run, clips, len(clips))
            except RuntimeError:  # the pool takes no more tasks, as when the main thread has ended: use this thread
                self._executor = None
        answers: Future[Answers] = Future()
        answers.set_result(self._network.run(clips, len(clips)))
        return answers

    def _collect(self) -> None:
        if self._running is not None:
            group, self._running = self._running, None
            self._results.append(self._finished(group))

    def _finished(self, group: _Group) -> Windows:
        windows, labels = group.windows, self._network.config.labels
        times_s = np.array([window[:4] for window in windows], np.float64)
        speech = np.array([window.clip is not None for window in windows], np.bool_)
        probabilities = np.full((len(windows), len(labels)), np.nan)
        ratings = np.full((len(windows), len(self._network.config.dimensions)), np.nan)
        if group.batches:
            answers = [one.result() for _, one in group.batches]
            place = np.argsort(np.concatenate([batch for batch, _ in group.batches]))[group.clip_of]
            probabilities[speech] = self._network.probabilities(np.concatenate([one.logits for one in answers])[place])
            ratings[speech] = np.concatenate([one.dimensions for one in answers])[place]
        abstain = ~speech
        abstain[speech] = probabilities[speech].max(axis=1) < self._abstain_below
        start_s, end_s, voiced_start_s, voiced_end_s = times_s.T
        return Windows(labels, start_s, end_s, voiced_start_s, voiced_end_s, speech, probabilities, abstain, ratings)
