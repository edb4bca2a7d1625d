"""Compute the log-mel spectrogram, pitch and voiced span of a waveform. NumPy only; training and inference share it."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher import audio
from emocatcher.features import mel, pitch, voiced_span
from emocatcher.features.matrix_products import SparseMatrix
from emocatcher.foundation.settings import FrontEnd, VoiceActivity

# Frames transformed at a time, so that the chunk's spectrum stays in a core's own cache.
_CHUNK_FRAMES = 16


class Features(NamedTuple):
    """The network's input for one clip, and its position in the recording."""

    channels: NDArray[np.float32]  # (n_channels, n_frames), voiced span only: the network's input
    log_mel: NDArray[np.float32]  # (n_mels, n_frames), dB: the channels that are mel bands
    span: voiced_span.VoicedSpan  # frames of the whole clip
    voiced_start_s: float
    voiced_end_s: float
    duration_s: float
    clicked: NDArray[np.bool_]  # (n_frames,) of the whole clip: frames that contain a click


def extract(waveform: audio.Waveform, front_end: FrontEnd, voice_activity: VoiceActivity) -> Features:
    """Compute the network's input for a clip: its voiced span as log-mel spectrogram and, if configured, pitch.

    Args:
        waveform: shape (n_samples,), float32, at `front_end.sample_rate`.
        front_end: settings of the spectrogram and pitch.
        voice_activity: settings of the detector.

    Returns:
        the features; `span.found` is False if no voiced span was found and the whole clip is kept.

    Raises:
        ValueError: if `waveform` is not one-dimensional or has no samples.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> cabg = load_preset("cabg")
        >>> features = extract(np.zeros(22_050, np.float32), cabg.front_end, cabg.vad)
        >>> features.log_mel.shape, features.span.found
        ((64, 17), False)
    """
    channels = compute_channels(waveform, front_end)
    return cut_voiced_span(channels, waveform, front_end, voice_activity)


def cut_voiced_span(
    channels: NDArray[np.float32], waveform: audio.Waveform, front_end: FrontEnd, voice_activity: VoiceActivity
) -> Features:
    """Cut the voiced span out of a clip.

    Args:
        channels: shape (n_channels, n_frames), of the whole clip, from `compute_channels`.
        waveform: shape (n_samples,), float32, from which they were computed.
        front_end: settings that `channels` were computed with.
        voice_activity: settings of the detector.
    """
    duration_s = len(waveform) / front_end.sample_rate
    clicked = voiced_span.clicks(waveform, channels.shape[1], front_end)
    span = voiced_span.detect(channels[: front_end.n_mels], voice_activity, clicked)
    # A copy, so that the frames outside the span can be freed.
    kept = np.ascontiguousarray(channels[:, span.first : span.last])
    return Features(
        channels=kept,
        log_mel=kept[: front_end.n_mels] if front_end.pitch else kept,
        span=span,
        voiced_start_s=min(span.first * front_end.frame_period_s, duration_s),
        voiced_end_s=min(span.last * front_end.frame_period_s, duration_s),
        duration_s=duration_s,
        clicked=clicked,
    )


def compute_channels(waveform: audio.Waveform, front_end: FrontEnd) -> NDArray[np.float32]:
    """Compute the log-mel spectrogram of a whole clip and, if the front end has it, the pitch in further rows.

    Frames are centred (frame t around sample t · hop_length, zeros beyond the ends), Hann-windowed, zero-padded to
    n_fft; power; Slaney mel bands; 10·log10 with `amin`; floored `floor_db` below the clip's maximum. Agrees with
    librosa's `power_to_db(melspectrogram(...))` to 0.01 dB on real speech.

    Args:
        waveform: shape (n_samples,), float32, at `front_end.sample_rate`.
        front_end: the settings.

    Returns:
        shape (n_channels, 1 + n_samples // hop_length), float32: n_mels rows in dB, then those of `pitch.track`.

    Raises:
        ValueError: if `waveform` is not one-dimensional or has no samples.
    """
    if waveform.ndim != 1 or waveform.size == 0:
        raise ValueError(f"waveform has the shape {waveform.shape}; (n_samples,) with at least one sample is needed")
    measurements = measure(waveform.astype(np.float32, copy=False), front_end)
    return combine_frames(convert_frames(measurements, front_end), front_end)


def log_mel_spectrogram(waveform: audio.Waveform, front_end: FrontEnd) -> NDArray[np.float32]:
    """Compute the mel bands of `compute_channels`, without pitch: shape (n_mels, n_frames), float32, dB."""
    return compute_channels(waveform, msgspec.structs.replace(front_end, pitch=None))


def convert_frames(measurements: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """Do the part of `compute_channels` that treats each frame alone.

    Args:
        measurements: shape (n_frames, n_measured), float32, from `measure` or a `FrameStream`.
        front_end: settings that they were measured with.

    Returns:
        shape (n_frames, n), float32: mel bands in dB, then, if the front end has pitch, `pitch.correlations`.
    """
    decibels = np.maximum(measurements[:, : front_end.n_mels], np.float32(front_end.amin))
    np.log10(decibels, out=decibels)
    decibels *= np.float32(10.0)
    if front_end.pitch is None:
        return decibels
    return np.concatenate([decibels, pitch.correlations(measurements[:, front_end.n_mels :])], axis=1)


def combine_frames(frames: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """Do the part of `compute_channels` that needs all frames of a clip.

    Args:
        frames: shape (n_frames, n), float32, from `convert_frames`, of one clip, at least one frame.
        front_end: settings that they were computed with.

    Returns:
        shape (n_channels, n_frames), float32.
    """
    decibels = frames[:, : front_end.n_mels]
    log_mel = np.maximum(decibels, decibels.max() - np.float32(front_end.floor_db)).T
    if front_end.pitch is None:
        return np.asarray(log_mel)
    return np.concatenate([log_mel, pitch.track(frames[:, front_end.n_mels :], front_end.pitch)])


class FrameStream:
    """Measures the frames of a waveform that arrives in blocks; all blocks together give the result of `measure`.

    A frame's measurements are the power per mel band and, if the front end has pitch, the autocorrelation at every
    candidate's period. They do not depend on the blocks, bit for bit. Memory does not grow with the waveform.

    Args:
        front_end: settings of the spectrogram and pitch.

    Examples:
        >>> from emocatcher.foundation.settings.reading import load_preset
        >>> stream = FrameStream(load_preset("cabg").front_end)
        >>> [len(stream.push(np.zeros(n, np.float32))) for n in (1, 1364, 20_000)], len(stream.finish())
        ([0, 1, 14], 1)
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        self._waiting = np.zeros(_n_before_centre(front_end), np.float32)  # starts at the next frame's first sample
        self._n_unused = 0  # upcoming samples that lie between two frames, if hop_length exceeds win_length
        self._n_samples = self._n_frames = 0

    def push(self, block: audio.Waveform) -> NDArray[np.float32]:
        """Add the next samples; return the measurements of all frames that they complete.

        Args:
            block: shape (n_samples,), float32; it may be empty.

        Returns:
            shape (n_frames, n_measured), float32.
        """
        self._n_samples += len(block)
        n_unused = min(self._n_unused, len(block))
        self._n_unused -= n_unused
        self._waiting = np.concatenate([self._waiting, block[n_unused:]])
        length, hop = self._front_end.win_length, self._front_end.hop_length
        return self._next(1 + (len(self._waiting) - length) // hop if len(self._waiting) >= length else 0)

    def finish(self) -> NDArray[np.float32]:
        """Return the measurements of the last frames, which reach beyond the end; shape as from `push`."""
        front_end = self._front_end
        n_left = 1 + self._n_samples // front_end.hop_length - self._n_frames if self._n_samples else 0
        needed = max(n_left - 1, 0) * front_end.hop_length + front_end.win_length
        self._waiting = np.concatenate([self._waiting, np.zeros(max(needed - len(self._waiting), 0), np.float32)])
        return self._next(n_left)

    def _next(self, n_frames: int) -> NDArray[np.float32]:
        measurements = np.empty((n_frames, _filters(self._front_end).shape[1]), np.float32)
        if n_frames:
            row = self._n_frames % _CHUNK_FRAMES
            _fill(_frames(self._waiting, n_frames, self._front_end), self._front_end, measurements, row)
            n_used = n_frames * self._front_end.hop_length
            self._n_unused += max(n_used - len(self._waiting), 0)
            self._waiting = self._waiting[n_used:]
            self._n_frames += n_frames
        return measurements


def measure(waveform: audio.Waveform, front_end: FrontEnd) -> NDArray[np.float32]:
    """Measure all frames of a waveform (see `FrameStream`), shape (n_frames, n_measured), float32."""
    before = _n_before_centre(front_end)
    n_frames = 1 + len(waveform) // front_end.hop_length
    last_start = (n_frames - 1) * front_end.hop_length
    padded = np.empty(max(last_start + front_end.win_length, before + len(waveform)), np.float32)
    padded[:before] = padded[before + len(waveform) :] = 0.0
    padded[before : before + len(waveform)] = waveform
    measurements = np.empty((n_frames, _filters(front_end).shape[1]), np.float32)
    _fill(_frames(padded, n_frames, front_end), front_end, measurements)
    return measurements


def _n_before_centre(front_end: FrontEnd) -> int:
    """Return the samples of a frame before its centre: half the window, which is in the middle of n_fft."""
    return front_end.n_fft // 2 - (front_end.n_fft - front_end.win_length) // 2


def _frames(padded: audio.Waveform, n_frames: int, front_end: FrontEnd) -> NDArray[np.float32]:
    """Return overlapping views of the samples in each frame's window, shape (n_frames, win_length)."""
    shape, strides = (n_frames, front_end.win_length), (front_end.hop_length * padded.itemsize, padded.itemsize)
    return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)


def _fill(
    frames: NDArray[np.float32], front_end: FrontEnd, measurements: NDArray[np.float32], row: int | None = None
) -> None:
    """Write the measurements of `frames`, shape (n_frames, win_length), into `measurements`, (n_frames, n_measured).

    Only the window's samples of each frame are used, and only the bins that a mel band uses are squared. The window's
    position in its zero-padded frame changes the spectrum's phase but not its power, so the window is put first.

    With a `row`, the first frame is put into that row of its chunk, and chunks are always multiplied in full size: the
    order in which BLAS sums depends on the matrix's size and on the row, so a frame then has the same result whichever
    frames are computed with it.
    """
    window, filters = _hann(front_end.win_length), _filters(front_end)
    buffers, n_frames = _buffers(front_end), len(frames)
    start, full_chunks, row = 0, row is not None, row or 0
    while start < n_frames:
        n = min(_CHUNK_FRAMES - row, n_frames - start)
        rows = slice(row, row + n)
        if not frames[start : start + n].any():  # digital silence, which is cheap to find
            measurements[start : start + n] = 0.0
            start, row = start + n, 0
            continue
        np.multiply(frames[start : start + n], window, out=buffers.windowed[rows, : front_end.win_length])
        # norm="forward" scales by 1/n_fft, which `_filters` cancels: without it NumPy transforms float32 as float64, in
        # new arrays, and takes three to six times as long.
        np.fft.rfft(buffers.windowed[rows], norm="forward", out=buffers.spectrum[rows])  # type: ignore[arg-type]  # NumPy's stub is outdated
        used = buffers.spectrum[rows, : filters.shape[0]]
        power, imaginary = buffers.power[rows], buffers.imaginary[rows]
        np.square(used.real, out=power)
        power += np.square(used.imag, out=imaginary)
        if full_chunks and n < _CHUNK_FRAMES:
            buffers.power[:row] = buffers.power[row + n :] = 0.0
            filters.multiply(buffers.power, out=buffers.measured)
            measurements[start : start + n] = buffers.measured[rows]
        else:
            filters.multiply(power, out=measurements[start : start + n])
        start, row = start + n, 0


class _Buffers:
    """Buffers of one thread; page faults of new arrays of this size would take longer than the transform itself."""

    def __init__(self, front_end: FrontEnd) -> None:
        n_bins, n_measured = _filters(front_end).shape
        self.windowed = np.zeros((_CHUNK_FRAMES, front_end.n_fft), np.float32)
        self.spectrum = np.empty((_CHUNK_FRAMES, front_end.n_fft // 2 + 1), np.complex64)
        self.power = np.empty((_CHUNK_FRAMES, n_bins), np.float32)
        self.imaginary = np.empty_like(self.power)
        self.measured = np.empty((_CHUNK_FRAMES, n_measured), np.float32)


class _ThreadBuffers(threading.local):
    front_end: FrontEnd | None = None
    buffers: _Buffers


_thread = _ThreadBuffers()


def _buffers(front_end: FrontEnd) -> _Buffers:
    if _thread.front_end != front_end:
        _thread.front_end, _thread.buffers = front_end, _Buffers(front_end)
    return _thread.buffers


@lru_cache(maxsize=8)
def _hann(win_length: int) -> NDArray[np.float32]:
    """Return the periodic Hann window, shape (win_length,)."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(win_length) / win_length)).astype(np.float32)


@lru_cache(maxsize=8)
def _filters(front_end: FrontEnd) -> SparseMatrix:
    """Return the matrix from power per bin, scaled by 1/n_fft², to measurements, shape (n_bins_used, n_measured)."""
    bands = mel.filters(front_end)
    if front_end.pitch is not None:
        periods = pitch.candidate_filters(front_end, front_end.pitch, np.arange(len(bands)))
        bands = np.concatenate([bands, periods.astype(np.float32)], axis=1)
    return SparseMatrix(bands * np.float32(front_end.n_fft**2))
