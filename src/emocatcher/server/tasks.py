"""Define the messages between the server and its worker processes: tasks and answers, one MessagePack frame each.

A frame is its length in four bytes, big-endian, followed by that many bytes.
"""

from __future__ import annotations

import math
import struct
from typing import Literal, TypeAlias

import msgspec

Encoding: TypeAlias = Literal["pcm16", "float32"]
LENGTH = struct.Struct(">I")


class Adjustment(msgspec.Struct, frozen=True):
    """What changes a model's answers."""

    profile: bytes = b""  # what the model settled on, as JSON; empty for nothing
    emotions: tuple[str, ...] | None = None  # that it may answer with; None for all


class Predict(msgspec.Struct, tag=True):
    """A recording → a `Prediction` as JSON."""

    path: str  # a file of this server
    name: str  # the client's name for it, which the answer contains
    abstain_below: float | None = None
    adjustment: Adjustment = Adjustment()
    channels: str = "mix"  # or the one to use alone, as for `Recognizer.predict`


class MakeTimeline(msgspec.Struct, tag=True):
    """A recording → a `Timeline` as JSON."""

    path: str
    name: str
    window_s: float
    hop_s: float
    abstain_below: float | None = None
    adjustment: Adjustment = Adjustment()


class Settle(msgspec.Struct, tag=True):
    """Predictions → a profile: what the model settled on, as JSON."""

    predictions: list[bytes]  # each as JSON, of the plain model


class CheckProfile(msgspec.Struct, tag=True):
    """A profile of a client → the same, checked."""

    content: bytes


class MeasureClips(msgspec.Struct, tag=True):
    """Recordings → their durations in seconds, as a JSON array; null for each that cannot be read."""

    paths: tuple[str, ...]


class ReadClip(msgspec.Struct, tag=True):
    """A recording → a 16-bit WAV file at its own sample rate."""

    path: str
    longest_s: float = math.inf  # a longer one is refused
    channels: str = "mix"  # as for `Predict`


class ExportWaveform(msgspec.Struct, tag=True):
    """→ the ONNX graph with a waveform input."""


class OpenStream(msgspec.Struct, tag=True):
    """Open a stream of live sound."""

    stream: int
    sample_rate: int  # Hz
    window_s: float
    hop_s: float
    abstain_below: float | None = None
    adjustment: Adjustment = Adjustment()


class PushStream(msgspec.Struct, tag=True):
    """The next samples → `Windows`."""

    stream: int
    encoding: Encoding
    samples: bytes  # little-endian, mono


class FinishStream(msgspec.Struct, tag=True):
    """The end of the sound → `Windows`; the stream is removed."""

    stream: int


class DropStream(msgspec.Struct, tag=True):
    """Remove a stream."""

    stream: int


Task: TypeAlias = (
    Predict
    | MakeTimeline
    | Settle
    | CheckProfile
    | MeasureClips
    | ReadClip
    | ExportWaveform
    | OpenStream
    | PushStream
    | FinishStream
    | DropStream
)


class Done(msgspec.Struct, tag=True):
    """A task's result."""

    payload: bytes


class Refused(msgspec.Struct, tag=True):
    """The reason why a task has no result."""

    error: str  # the exception's class
    detail: str  # for people, in one line


class Windows(msgspec.Struct):
    """New windows of a stream."""

    windows: list[bytes]  # each as JSON
    duration_s: float  # of the sound so far


Answer: TypeAlias = Done | Refused
task_decoder = msgspec.msgpack.Decoder(Task)
answer_decoder = msgspec.msgpack.Decoder(Answer)
windows_decoder = msgspec.msgpack.Decoder(Windows)
_encoder = msgspec.msgpack.Encoder()


def frame(message: Task | Answer) -> bytes:
    """Encode a message as a frame for the socket."""
    payload = _encoder.encode(message)
    return LENGTH.pack(len(payload)) + payload


def encode(windows: Windows) -> bytes:
    """Encode the payload of a stream's answer."""
    return _encoder.encode(windows)
