"""Place decoded frames in time: which parts of a recording are pauses, and which are lost to damage."""

from __future__ import annotations

from collections import deque

_LONGEST_LEAD_S = 60.0  # a stream that was joined late starts at any time, which is not silence
GAP_S = 0.05  # shorter gaps come from rounded times and the delays of encoders
_LONGEST_GAP_S = 3600.0  # over a longer one, or a second back in time, the clock was set anew
_LONGEST_OVERLAP_S = 1.0
_LONGEST_SILENCE_S = 14_400.0  # in all: a few bytes can declare any number of gaps
_BETWEEN_PACKETS = 256  # bytes; the headers of packets and of their groups are shorter


class Placement:
    """Keeps a recording's time while its packets are decoded, some of them without success.

    Args:
        has_times: whether the container has times; if not, lost time is estimated from bytes.
        is_alone: whether all bytes of the container belong to this track.
        from_zero: whether the container's time begins at zero, else at `start_s`.
        start_s: the earliest time in the container.

    Attributes:
        failed: whether packets since the last frame could not be decoded.
        lost: parts that could not be decoded, as (start_s, end_s), in order.
        start_s: the container's time at which the recording begins.
        is_first_page: whether the next frame is in the first page of an Ogg track, or the first behind it. For some
            codecs FFmpeg counts that page from zero, and only its end has a time: a step is no pause.

    Examples:
        A frame at 2.5 s follows after 2 s of samples at 1 kHz: half a second is missing.

        >>> placement = Placement(has_times=True, is_alone=True, from_zero=True, start_s=0.0)
        >>> placement.missing(0.0, 0, 1000), placement.missing(2.5, 2000, 1000), placement.lost
        (0, 500, [])
    """

    def __init__(self, *, has_times: bool, is_alone: bool, from_zero: bool, start_s: float) -> None:
        self.has_times, self._is_alone = has_times, is_alone
        self.failed = self.is_first_page = False
        self.lost: list[tuple[float, float]] = []
        self.start_s = self._zero_s = 0.0 if from_zero and 0.0 <= start_s <= _LONGEST_LEAD_S else start_s
        self._skipped_s = 0.0  # without times: the length of packets since the last frame, and of bytes between them
        self._n_silent = 0
        self._between = deque([0], maxlen=4)  # bytes between the last packets; a decoder may return a frame late
        self._n_bytes, self._decoded_s = 0, 0.0  # of all packets that were decoded

    def decoded(self, n_bytes: int, duration_s: float) -> None:
        """Note a packet that was decoded."""
        self._n_bytes += n_bytes
        self._decoded_s += duration_s

    def lose(self, n_bytes: int, duration_s: float = 0.0) -> None:
        """Note a packet that could not be decoded, or bytes that belong to none."""
        self.failed = True
        # FFmpeg adds bytes that belong to no packet to the one before.
        size_s = n_bytes * self._decoded_s / self._n_bytes if self._n_bytes else 0.0
        self._skipped_s += size_s if size_s > 2.0 * duration_s else duration_s

    def between(self, n_bytes: int) -> None:
        """Note how many bytes are between the last packet and the next one."""
        self._between.append(n_bytes)
        if self._is_alone and not self.has_times and n_bytes > _BETWEEN_PACKETS:
            self.lose(n_bytes)

    def missing(self, frame_s: float | None, n_samples: int, sample_rate: int) -> int:
        """Return how many samples are missing before a frame; negative for those that it repeats.

        Args:
            frame_s: the container's time of the frame; None if it has none.
            n_samples: of the recording so far, with silence.
            sample_rate: Hz.
        """
        time_s = n_samples / sample_rate
        damaged, gap_s = self.failed, self._skipped_s
        self.failed, self._skipped_s = False, 0.0
        if self.has_times:
            if frame_s is None:
                return 0
            gap_s = frame_s - self._zero_s - time_s
            damaged = damaged or self._are_lost(max(self._between), gap_s)
            is_new_clock = not -_LONGEST_OVERLAP_S <= gap_s <= _LONGEST_GAP_S
            is_too_much = gap_s + self._n_silent / sample_rate > _LONGEST_SILENCE_S
            is_late = self.is_first_page and n_samples > 0 and (gap_s > _LONGEST_LEAD_S or not damaged)
            if is_new_clock or is_too_much or is_late or (n_samples == 0 and gap_s <= GAP_S):
                self._zero_s += gap_s
                return 0
            if abs(gap_s) <= GAP_S and not (damaged and gap_s > 0.0):
                return 0
        missing = min(round(gap_s * sample_rate), int(_LONGEST_SILENCE_S * sample_rate) - self._n_silent)
        if missing > 0:
            self._n_silent += missing
            if damaged:
                self.lost.append((time_s, time_s + missing / sample_rate))
        return missing

    def merged(self) -> list[tuple[float, float]]:
        """Return the lost parts, neighbouring ones as one."""
        merged: list[tuple[float, float]] = []
        for start_s, end_s in self.lost:
            if merged and start_s <= merged[-1][1] + 2 * GAP_S:
                merged[-1] = merged[-1][0], max(end_s, merged[-1][1])
            else:
                merged.append((start_s, end_s))
        return merged

    def _are_lost(self, n_bytes: int, gap_s: float) -> bool:
        """Whether the bytes of a gap are there, but were not packets: a pause has none."""
        if gap_s <= GAP_S or not self._is_alone or not self._decoded_s:
            return False
        return n_bytes > max(_BETWEEN_PACKETS, 0.25 * gap_s * self._n_bytes / self._decoded_s)
