"""Recognise a recording of any length: the result is a `Timeline`."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import msgspec

from emocatcher import audio
from emocatcher.audio.sources import path_of
from emocatcher.foundation import process_setup
from emocatcher.foundation.errors import SettingError, TooLongError
from emocatcher.recognition import cautions
from emocatcher.recognition.prediction import SCHEMA_VERSION, Caution, Rating, rate
from emocatcher.recognition.timeline import segments
from emocatcher.recognition.timeline.engine import Engine, HasSpeech
from emocatcher.recognition.timeline.segments import Segment
from emocatcher.recognition.timeline.window_batches import Network
from emocatcher.recognition.timeline.windows import Window, Windows

_BLOCK_S = 30.0  # length of a decoded block
_MOST_THREADS = 4  # unless asked: a group of windows has so many batches


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The emotions over the length of a recording. `timeline.formats` writes it in many formats."""

    schema_version: int = SCHEMA_VERSION
    path: str  # as given; bytes that are not valid text as \xNN; "" for bytes and arrays
    channel: int | None = None  # from 1, if it was recognised alone; None for the mix of all
    model: str
    model_version: str  # of emocatcher, when the model was written
    labels: tuple[str, ...]  # in the model's order
    window_s: float
    hop_s: float
    abstain_below: float  # windows and segments with a lower probability are marked `abstain`
    duration_s: float
    settled_on: int = 0  # recordings whose common part was subtracted (see `settling`); 0 for none
    warnings: tuple[Caution, ...] = ()  # reasons to trust it less, most serious first
    dimensions: dict[str, Rating] = {}  # means over the windows with speech, of a model that estimates some
    segments: tuple[Segment, ...]  # from 0 to the end, without gaps
    windows: Sequence[Window]

    @property
    def part(self) -> str:
        """The name of what was recognised alone of the recording, "channel 2" or a speaker; else nothing."""
        return "" if self.channel is None else f"channel {self.channel}"

    @property
    def of_part(self) -> str:
        """What stands before a text about such a part, "channel 2: "; else nothing."""
        return self.part and f"{self.part}: "


class BlockRecogniser:
    """Recognises a waveform that arrives in blocks window by window, and collects what its timeline needs.

    Args:
        network: the model.
        has_speech: whether a window contains speech, as for `Engine`.
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        abstain_below: windows and segments with a lower probability are marked `abstain`.
        executor: a pool of threads in which the network runs; None to run it in the caller's thread.

    Raises:
        SettingError: if the window or the hop is out of range.
    """

    def __init__(
        self,
        network: Network,
        has_speech: HasSpeech,
        window_s: float,
        hop_s: float,
        abstain_below: float,
        *,
        executor: Executor | None = None,
    ) -> None:
        self._network, self._window_s, self._hop_s, self._abstain_below = network, window_s, hop_s, abstain_below
        self._speech = speech = cautions.SpeechOverTime(network.config.settings.front_end)
        self._engine = Engine(
            network, has_speech, window_s, hop_s, abstain_below, at_once=False, executor=executor, on_speech=speech.add
        )
        self._parts: list[Windows] = []

    @property
    def duration_s(self) -> float:
        """Duration of all blocks pushed so far, seconds."""
        return self._engine.duration_s

    def push(self, block: audio.Waveform) -> None:
        """Add the next samples, at the model's rate and without offset."""
        self._parts.append(self._engine.push(block))

    def finish(self, facts: audio.Facts) -> Timeline:
        """End the waveform, of which these are the facts, and return its timeline, without a path."""
        self._parts.append(self._engine.finish())
        config, duration_s = self._network.config, self._engine.duration_s
        windows = Windows.join(config.labels, self._parts)
        spoken = windows.ratings[windows.speech]
        return Timeline(
            dimensions=rate(config.dimensions, spoken.mean(axis=0).tolist()) if len(spoken) else {},
            path="",
            model=config.name,
            model_version=config.version,
            labels=config.labels,
            window_s=float(self._window_s),
            hop_s=float(self._hop_s),
            abstain_below=float(self._abstain_below),
            duration_s=duration_s,
            settled_on=self._network.n_settled_on,
            warnings=self._speech.cautions(facts, duration_s),
            segments=segments.merge(windows, duration_s, self._abstain_below),
            windows=windows,
        )


def recognise(
    network: Network,
    has_speech: HasSpeech,
    source: audio.Source,
    window_s: float = 3.0,
    hop_s: float = 0.5,
    abstain_below: float = 0.0,
    on_block: Callable[[audio.Waveform], object] | None = None,
    threads: int | None = None,
    *,
    longest_s: float = math.inf,
    channel: int | None = None,
) -> Timeline:
    """Recognise a recording window by window. Apart from the timeline itself, memory does not grow with its length.

    Args:
        network: the model.
        has_speech: whether a window contains speech, as for `Engine`.
        source: a path, a URI, an encoded file's bytes, or (samples, sample_rate).
        window_s: length of a window, seconds.
        hop_s: from the start of one window to the start of the next, seconds.
        abstain_below: windows and segments with a lower probability are marked `abstain`.
        on_block: called with each block of the waveform, at the model's rate, as soon as its windows are prepared.
        threads: with more than 1, the network runs in so many threads while the next windows are prepared, and the
            result is the same. None for as many as this process may use cores, but at most four.
        longest_s: longer recordings are refused, seconds.
        channel: the one to use alone, from 0; None for the mix.

    Raises:
        AudioError: if the recording cannot be used, or is longer than `longest_s`.
        SettingError: if the window or the hop is out of range, or `threads` is below 1.
    """
    if threads is not None and threads < 1:
        raise SettingError(f"{threads} threads. Give 1 or more, in which the network runs")
    n_threads = threads or min(process_setup.usable_cores(), _MOST_THREADS)
    facts = audio.Facts()
    with contextlib.ExitStack() as stack:
        executor = None
        # Python starts no thread pool once the main thread has ended.
        if n_threads > 1 and threading.main_thread().is_alive():
            from concurrent.futures import ThreadPoolExecutor

            executor = ThreadPoolExecutor(n_threads, thread_name_prefix="network")
            # After an error, groups that have not started are not needed.
            stack.callback(executor.shutdown, cancel_futures=True)
        recogniser = BlockRecogniser(network, has_speech, window_s, hop_s, abstain_below, executor=executor)
        rate = network.config.settings.front_end.sample_rate
        for block in audio.blocks(source, rate, block_s=_BLOCK_S, offset_s=window_s, facts=facts, channel=channel):
            if recogniser.duration_s + len(block) / rate > longest_s:
                raise TooLongError(
                    path_of(source) or "the recording", f"is longer than {longest_s:g} s. Cut it into parts"
                )
            # An array arrives as one block of its full length.
            step = round(_BLOCK_S * rate)
            for start in range(0, len(block), step):
                recogniser.push(block[start : start + step])
                if on_block is not None:
                    on_block(block[start : start + step])
        timeline = recogniser.finish(facts)
    return msgspec.structs.replace(
        timeline,
        channel=None if channel is None else channel + 1,
        path=printable(path_of(source)),
    )


def printable(path: str) -> str:
    """Return the path as text that every format can hold."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
