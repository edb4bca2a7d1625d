"""Decode with FFmpeg, through PyAV: the container's times are kept, and damaged parts are replaced by silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocatcher.audio import amr, file_ends, joined_files, ogg
from emocatcher.audio.placement import Placement
from emocatcher.audio.probing import NO_PROTOCOLS
from emocatcher.audio.resampling import Waveform
from emocatcher.audio.sources import Encoded, opened
from emocatcher.foundation.errors import DecodeError

_MATROSKA, _MP4 = "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"
# The packets of these formats have times of their own. Of the others, FFmpeg only counts the samples.
_TIMED = {_MATROSKA, _MP4, "mpegts", "mpeg", "ogg", "flv", "asf", "flac", "nut"}
# In these, time begins at zero. In others, as of a broadcast, it begins with the first packet of any track.
_FROM_ZERO = {_MATROSKA, _MP4}
# The header of these declares the length of the track, or of the whole file. FFmpeg estimates that of the others.
_TRACK_LENGTH = {_MP4, "flac", "aiff", "tta", "wv", "wav"}
_COUNTED = {"avi", "caf"}
_FILE_LENGTH = {_MATROSKA, "flv", "asf"}
_END_TIME = {_MATROSKA, "asf"}  # it is the time of the end

_TOLERANCE_S = 0.15  # a declared length may be rounded, or contain an encoder's delay
_MOST_STRANGE = 10  # packets; so many in a row are no damage
_MOST_PLANES = 8  # of a frame in PyAV; with as many or more, it does not find the end of their list
_LONGEST_SKIP = 1 << 24  # bytes; about an hour of AAC
_HEADERLESS = (
    "is raw sound without a header, so its sample rate and encoding are not known. Convert it to WAV with what they "
    "are: ffmpeg -f mulaw -ar 8000 -i FILE out.wav"
)


class Decoder:
    """Decodes a recording while it is iterated: blocks of shape (n_samples, n_channels), float32.

    Args:
        source: what `sources.readable` returned.
        name: of the recording, for messages.
        block_s: length of a block in seconds; the last may be shorter.

    Attributes:
        rate: sample rate in Hz; set with the first block.
        truncated: whether the end is missing; set after the last block.
        lost: parts that could not be decoded, as (start_s, end_s), in order; complete after the last block.
        n_unread: bytes behind what was decoded that may be another recording; set after the last block.

    Raises:
        DecodeError: during iteration, if nothing can be decoded, or the sample rate changes.
    """

    def __init__(self, source: Encoded, name: str, block_s: float) -> None:
        self.rate = 0
        self.truncated = False
        self.lost: list[tuple[float, float]] = []
        self.n_unread = 0
        self.n_tracks = 1
        self._source, self._name, self._block_s = source, name, block_s
        self._ready: list[Waveform] = []  # shape (n_channels, n_samples)
        self._n_ready = self._n_samples = 0
        self._n_uncounted = 0  # bytes that FFmpeg skipped without a note
        self._n_junk = 0  # bytes after the last frame
        self._n_strange = 0  # packets in a row with another sample rate
        self._end = 0  # of the last packet, position in bytes
        self._first_page: int | None = None  # of Ogg, position in bytes

    def __iter__(self) -> Iterator[Waveform]:
        # PyAV takes a quarter of the package's import time, and most recordings do not need it.
        import av

        reason = "cannot be decoded. Check that it is a complete audio file, or export it again as WAV"
        has_stopped = False  # before the end, as where the number of channels changes in WavPack
        try:
            with opened(self._source) as whole:
                end = joined_files.mp4_end(whole)
            with opened(self._source, end) as file, av.open(file, mode="r", options=NO_PROTOCOLS) as container:
                # The default track, if the container names one; else the one with the highest bit rate.
                stream = container.streams.best("audio")
                if stream is None:
                    raise DecodeError(self._name, "contains no sound. Give a recording with an audio track")
                self.n_tracks = len(container.streams.audio)
                if container.format.name in ("wav", "aiff"):
                    with opened(self._source) as again:
                        if joined_files.has_second_chunk(again):
                            raise DecodeError(self._name, "has two chunks of sound. Export it again as WAV")
                if container.format.long_name.startswith("PCM "):  # FFmpeg's guess by the suffix alone
                    raise DecodeError(self._name, _HEADERLESS)
                yield from self._decode(container, stream)
        except (av.FFmpegError, ValueError) as error:
            if self._n_samples == 0:
                raise DecodeError(self._name, reason) from error
            self.truncated = has_stopped = True
        if self._n_samples == 0:
            raise DecodeError(self._name, reason)
        yield from self._flush()
        with opened(self._source) as file:
            n_left = file.seek(0, os.SEEK_END) - self._end if has_stopped else 0
            n_left = n_left if n_left >= joined_files.FEWEST_UNREAD else 0
            self.n_unread = max(self.n_unread, joined_files.n_unread(file, self._end) or n_left)
        self.truncated = self.truncated and not self.n_unread

    def _decode(self, container: Any, stream: Any) -> Iterator[Waveform]:
        import av

        self._kind = kind = container.format.name
        self._alone = len(container.streams) == 1
        self._placement = placement = Placement(
            has_times=kind in _TIMED,
            is_alone=self._alone,
            from_zero=kind in _FROM_ZERO,
            start_s=(container.start_time or 0) / av.time_base,
        )
        if kind == "flac":
            # Without its checksum, a damaged frame would be decoded to noise.
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        decoder, packets = stream.codec_context, _packets(container, stream)
        if decoder is None:
            raise ValueError("an unknown codec")
        if amr.is_amr(decoder.name):
            packets = amr.frames(packets, decoder.name) if kind == "amr" else packets
            decoder = amr.AmrDecoder(decoder)
        last: Any = None
        for packet in packets:
            if packet.size:
                self._first_page = packet.pos if last is None else self._first_page
                self._measure_distance(last, packet)
                last = packet
            before = self._n_samples
            for frame in self._frames(packet, decoder):
                yield from self._add(frame)
            if self._n_junk:
                placement.lose(self._n_junk)
                self._n_junk = 0
            if packet.size and packet.is_corrupt and placement.has_times and self.rate:
                placement.lost.append((before / self.rate, self._n_samples / self.rate))
        if self._n_samples == 0:
            return
        is_part = last.is_corrupt and placement.has_times
        if is_part:
            placement.lost.pop()
        self.lost = placement.merged()
        declared_s = self._declared_s(container, stream)
        is_all = 0.0 < declared_s <= self._n_samples / self.rate + _TOLERANCE_S
        is_padded = kind in ("mp3", "aac") and file_ends.is_padding(bytes(last), of_any_length=is_all)
        has_strange_end = placement.failed and not is_padded
        if has_strange_end and is_all and last.size >= joined_files.FEWEST_UNREAD:
            self.n_unread = last.size
        self.truncated = (
            (has_strange_end and not is_all)
            or is_part
            # Without times, what is missing of the declared length may be missing where there is damage.
            or (declared_s > self._n_samples / self.rate + _TOLERANCE_S and (placement.has_times or not self.lost))
            or self._breaks_off(kind, last, is_all)
        )

    def _frames(self, packet: Any, decoder: Any) -> list[Any]:
        import av

        try:
            frames = decoder.decode(packet)
            if self._has_strange_rate(frames):
                raise ValueError("a damaged header")
        except (av.FFmpegError, ValueError):
            frames = self._without_junk(packet, decoder)
            if packet.size and not frames and (self._kind != "mp3" or not file_ends.tag_length(bytes(packet)[:32])):
                self._placement.lose(packet.size, float((packet.duration or 0) * (packet.time_base or 0)))
        if frames:
            self._placement.decoded(packet.size, sum(frame.samples / frame.sample_rate for frame in frames))
        return list(frames)

    def _without_junk(self, packet: Any, decoder: Any) -> list[Any]:
        """Decode an MP3 frame without the bytes behind it, which FFmpeg adds to the packet if they are no frame."""
        import av

        length = file_ends.mpeg_frame_length(bytes(packet)[:4], self.rate) if self._kind == "mp3" and self.rate else 0
        if not 0 < length < packet.size:
            return []
        try:
            frames = decoder.decode(av.Packet(bytes(packet)[:length]))
        except (av.FFmpegError, ValueError):
            return []
        if any(frame.sample_rate != self.rate for frame in frames):
            return []
        if not file_ends.tag_length(bytes(packet)[length:]):
            self._n_junk = packet.size - length
        return list(frames)

    def _has_strange_rate(self, frames: list[Any]) -> bool:
        """Whether the sample rate differs from the recording's, as after damage to a frame's header."""
        strange = next((frame.sample_rate for frame in frames if self.rate not in (0, frame.sample_rate)), 0)
        self._n_strange = self._n_strange + 1 if strange else 0
        if self._n_strange > _MOST_STRANGE:
            reason = f"changes its sample rate from {self.rate} to {strange} Hz midway"
            raise DecodeError(self._name, f"{reason}. Convert it to one sample rate")
        return bool(strange)

    def _measure_distance(self, last: Any, packet: Any) -> None:
        """Count the bytes between the last packet and this one."""
        known = last is not None and last.pos is not None and packet.pos is not None
        is_same_page = self._kind == "ogg" and known and packet.pos == last.pos  # the position is that of the page
        n_between = packet.pos - self._end if known and not is_same_page else 0
        if n_between and self._kind == "avi":
            with opened(self._source) as file:
                file.seek(self._end)
                n_between = 0 if file_ends.is_avi_index(file.read(16)) else n_between
        self._end = (self._end if is_same_page or packet.pos is None else packet.pos) + packet.size
        self._placement.between(n_between)
        self._placement.is_first_page = self._kind == "ogg" and known and last.pos == self._first_page
        if known and self._placement.failed and self._kind == "aac":
            # FFmpeg does not count the bytes that it skips to find the next packet.
            with opened(self._source) as file:
                file.seek(packet.pos + self._n_uncounted)
                n_skipped = max(file.read(_LONGEST_SKIP).find(bytes(packet)[:64]), 0)
            self._n_uncounted += n_skipped
            self._placement.lose(n_skipped)

    def _add(self, frame: Any) -> Iterator[Waveform]:
        self.rate = frame.sample_rate
        samples = _to_float(frame)
        missing = self._placement.missing(frame.time, self._n_samples, self.rate)
        while missing > 0:
            n_silent = min(missing, max(int(self._block_s * self.rate), 1))
            missing -= n_silent
            yield from self._push(np.zeros((len(samples), n_silent), np.float32))
        yield from self._push(samples[:, -missing:])

    def _push(self, samples: Waveform) -> Iterator[Waveform]:
        if self._ready and len(self._ready[0]) != len(samples):  # a damaged stream may change its channels
            yield from self._flush()
        self._ready.append(samples)
        self._n_ready += samples.shape[1]
        self._n_samples += samples.shape[1]
        if self._n_ready >= self._block_s * self.rate:
            yield from self._flush()

    def _flush(self) -> Iterator[Waveform]:
        if self._ready:
            ready, self._ready, self._n_ready = self._ready, [], 0
            yield np.concatenate(ready, axis=1).T

    def _declared_s(self, container: Any, stream: Any) -> float:
        """Return the length that the header declares, seconds; 0 if it declares none."""
        import av

        kind = container.format.name
        if kind in _COUNTED:  # FFmpeg replaces the length by an estimate, but not the header's count
            return float(stream.frames * stream.time_base)
        length_s = float((stream.duration or 0) * stream.time_base)
        if kind == "mp3":  # with bytes behind the last frame, FFmpeg replaces the length by an estimate
            with opened(self._source) as file:
                n_frames = file_ends.mpeg_declared_frames(file)
            return min(length_s, n_frames * float(stream.codec_context.frame_size) / self.rate)
        if kind in _TRACK_LENGTH:
            return length_s
        if kind not in _FILE_LENGTH or not self._alone:
            return 0.0
        file_s = (container.duration or 0) / av.time_base
        start_s = self._placement.start_s if kind in _END_TIME else 0.0
        return (
            file_s - start_s if file_s > start_s else file_s
        )  # of an ASF that breaks off, FFmpeg estimates the length

    def _breaks_off(self, kind: str, last: Any, is_all: bool) -> bool:
        if kind == "mp3":
            return int(last.size) < file_ends.mpeg_frame_length(bytes(last)[:4], self.rate)
        with opened(self._source) as file:
            if kind == "ogg":
                return ogg.breaks_off(file)
            return kind == _MATROSKA and bool(last.pos) and file_ends.matroska_breaks_off(file, last.pos, is_all)


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Yield a track's packets, also those after an error of the container."""
    import av

    has_progressed = True
    while True:
        try:
            for packet in container.demux(stream):
                has_progressed = True
                yield packet
        except IndexError:  # of a track that begins later, which PyAV does not know
            continue
        except av.FFmpegError:
            if not has_progressed:
                raise
            has_progressed = False
        else:
            return


def _to_float(frame: Any) -> Waveform:
    """Return a frame's samples, shape (n_channels, n_samples), float32, in -1 … 1."""
    if frame.format.name == "fltp" and len(frame.planes) == 1:  # most frames, and PyAV's conversion takes longer
        return np.frombuffer(frame.planes[0], np.float32, frame.samples)[None]
    if frame.format.is_planar and frame.layout.nb_channels >= _MOST_PLANES:
        import av

        (frame,) = av.AudioResampler(format="flt").resample(frame)  # PyAV would read memory that is not the frame's
    array: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, frame.layout.nb_channels).T
    if array.dtype == np.uint8:
        return ((array.astype(np.float32) - 128.0) / 128.0).astype(np.float32)
    if np.issubdtype(array.dtype, np.signedinteger):
        return (array / (np.iinfo(array.dtype).max + 1.0)).astype(np.float32)
    with np.errstate(over="ignore"):  # infinite samples are refused later
        return array.astype(np.float32, copy=False)
