"""Windows on their way through the network: many at a time, and, where asked, in a thread beside their preparation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emocatcher.config import Settings
from emocatcher.timeline.windows import Windows

_BATCH_SIZE = 32  # windows; with fewer the thread beside waits for Python more often, with more there is more padding
_TOGETHER = 128  # windows that are sorted into batches of like length
_MOST_FRAMES = 1 << 16  # that wait together, and that go into a batch: windows may be ten minutes long


class Card(Protocol):
    """What is read of a model's settings."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def settings(self) -> Settings: ...  # noqa: D102


class Network(Protocol):
    """What is needed of a model; `inference.Recognizer` is one."""

    @property
    def config(self) -> Card:
        """Its settings."""

    def run(
        self, log_mels: Sequence[NDArray[np.float32]], batch_size: int = ...
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Arrays of shape (n_channels, n_frames) → logits, shape (n_clips, n_classes), and attention."""

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits → calibrated probabilities, both of shape (n_clips, n_classes)."""


class Prepared(NamedTuple):
    """A window, as the network is given it."""

    start_s: float
    end_s: float
    voiced_start_s: float
    voiced_end_s: float
    clip: NDArray[np.float32] | None  # (n_channels, n_frames), the voiced span; None where nobody speaks


class Hearing:
    """Takes windows, and gives them back recognised, in their order.

    Args:
        network: the model.
        abstain_below: the probability under which a window is marked.
        executor: of one thread, in which the network runs while the caller goes on; None for the caller's own.
    """

    def __init__(self, network: Network, abstain_below: float, executor: Executor | None) -> None:
        self._network, self._abstain_below, self._executor = network, abstain_below, executor
        self._waiting: list[Prepared] = []
        self._n_frames = 0  # of those
        self._running: Future[Windows] | None = None  # one group beside the one that waits: more would take memory
        self._heard: list[Windows] = []

    def add(self, window: Prepared) -> None:
        """Take one more."""
        self._waiting.append(window)
        self._n_frames += 0 if window.clip is None else window.clip.shape[1]
        if len(self._waiting) == _TOGETHER or self._n_frames >= _MOST_FRAMES:
            self._start()

    def take(self, *, everything: bool) -> Windows:
        """Give what was not given yet: all that was added, or, without waiting, what is recognised by now."""
        if everything and self._waiting:
            self._start()
        if everything or (self._running is not None and self._running.done()):
            self._await()
        heard, self._heard = self._heard, []
        return Windows.join(self._network.config.labels, heard)

    def _start(self) -> None:
        windows, self._waiting, self._n_frames = self._waiting, [], 0
        self._await()
        if self._executor is not None:
            try:
                self._running = self._executor.submit(self._recognise, windows)
            except RuntimeError:  # no thread is to be had, as when the main thread has ended: go on alone
                self._executor = None
            else:
                return
        self._heard.append(self._recognise(windows))

    def _await(self) -> None:
        if self._running is not None:
            self._heard.append(self._running.result())
            self._running = None

    def _recognise(self, windows: Sequence[Prepared]) -> Windows:
        labels = self._network.config.labels
        times_s = np.array([window[:4] for window in windows], np.float64)
        clips = [window.clip for window in windows if window.clip is not None]
        speech = np.array([window.clip is not None for window in windows], np.bool_)
        probabilities = np.full((len(windows), len(labels)), np.nan)
        if clips:
            # Of like length together: the network hears every batch as long as its longest.
            order = np.argsort([clip.shape[1] for clip in clips], kind="stable")
            longest = max(clip.shape[1] for clip in clips)
            batch_size = min(_BATCH_SIZE, max(_MOST_FRAMES // longest, 1))
            logits, _ = self._network.run([clips[i] for i in order], batch_size)
            probabilities[np.flatnonzero(speech)[order]] = self._network.probabilities(logits)
        # Where nobody spoke there is nothing to be sure of.
        abstain = ~speech
        abstain[speech] = probabilities[speech].max(axis=1) < self._abstain_below
        start_s, end_s, voiced_start_s, voiced_end_s = times_s.T
        return Windows(labels, start_s, end_s, voiced_start_s, voiced_end_s, speech, probabilities, abstain)
