"""What the server asks of its worker processes, and what they answer; one frame of MessagePack each.

A frame is its length in four bytes, the highest first, and then that many bytes.
"""

from __future__ import annotations

import struct
from typing import Literal, TypeAlias

import msgspec

Encoding: TypeAlias = Literal["pcm16", "float32"]
LENGTH = struct.Struct(">I")


class Predict(msgspec.Struct, tag=True):
    """A recording → a `Prediction` as JSON."""

    path: str  # a file of this server's
    name: str  # the client's word for it, which stands in the answer
    abstain_below: float | None = None


class MakeTimeline(msgspec.Struct, tag=True):
    """A recording → a `Timeline` as JSON."""

    path: str
    name: str
    window_s: float
    hop_s: float
    abstain_below: float | None = None


class MeasureClips(msgspec.Struct, tag=True):
    """Recordings → their durations in seconds, as a JSON array; null where one cannot be read."""

    paths: tuple[str, ...]


class ReadClip(msgspec.Struct, tag=True):
    """A recording → a WAV file of 16 bits at its own rate."""

    path: str


class ExportWaveform(msgspec.Struct, tag=True):
    """→ the ONNX graph that takes a waveform."""


class OpenStream(msgspec.Struct, tag=True):
    """Get ready for live sound."""

    stream: int
    sample_rate: int  # Hz
    window_s: float
    hop_s: float
    abstain_below: float | None = None


class PushStream(msgspec.Struct, tag=True):
    """The next samples → `Windows`."""

    stream: int
    encoding: Encoding
    samples: bytes  # little-endian, mono


class FinishStream(msgspec.Struct, tag=True):
    """The end of the sound → `Windows`; the stream is forgotten."""

    stream: int


class DropStream(msgspec.Struct, tag=True):
    """Forget a stream."""

    stream: int


Task: TypeAlias = (
    Predict
    | MakeTimeline
    | MeasureClips
    | ReadClip
    | ExportWaveform
    | OpenStream
    | PushStream
    | FinishStream
    | DropStream
)


class Done(msgspec.Struct, tag=True):
    """The answer."""

    payload: bytes


class Refused(msgspec.Struct, tag=True):
    """Why there is none."""

    error: str  # the exception's class
    detail: str  # for people, in one line


class Windows(msgspec.Struct):
    """What a stream gave."""

    windows: list[bytes]  # each as JSON
    duration_s: float  # of the sound so far


Answer: TypeAlias = Done | Refused
task_decoder = msgspec.msgpack.Decoder(Task)
answer_decoder = msgspec.msgpack.Decoder(Answer)
windows_decoder = msgspec.msgpack.Decoder(Windows)
_encoder = msgspec.msgpack.Encoder()


def frame(message: Task | Answer) -> bytes:
    """A message as it goes through the socket."""
    payload = _encoder.encode(message)
    return LENGTH.pack(len(payload)) + payload


def encode(windows: Windows) -> bytes:
    """The payload of a stream's answer."""
    return _encoder.encode(windows)
