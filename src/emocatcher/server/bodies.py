"""Parse the three forms of a request body with recordings: a multipart form, the raw file, JSON with base64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from emocatcher.server.limits import Limits
from emocatcher.server.problems import ProblemError

FORM, JSON, BYTES = "multipart/form-data", "application/json", "application/octet-stream"
_SOUND = ("audio/", "video/")  # browsers also label audio-only recordings video/webm
FIELD = "file"


class Sink(Protocol):
    """Receives the recordings."""

    def begin(self) -> None:
        """Begin the next recording."""

    def add(self, piece: memoryview) -> None:
        """Append to the current recording; the piece is kept without a copy, which would cost as much as writing."""

    def take_back(self) -> bytes:
        """Delete the current recording, and return its content."""


class Reader(Protocol):
    """Parses a request body piece by piece."""

    several: bool  # whether the answer must be a list; set at the end
    max_bytes: int  # size limit of a body of this form

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece.

        Raises:
            ProblemError: if it is malformed.
        """

    def finish(self) -> list[str]:
        """Finish parsing; return the recordings' names.

        Raises:
            ProblemError: if the body is malformed or incomplete.
        """


def choose_reader(request: Request, limits: Limits, sink: Sink) -> Reader:
    """Return the reader for a request's Content-Type.

    Raises:
        ProblemError: if the Content-Type is not allowed.
    """
    content_type = request.headers.get("content-type", "")
    kind, options = parse_options_header(content_type)
    media = kind.decode("latin-1").lower()
    if media == FORM:
        return FormBody(options.get(b"boundary", b""), limits, sink)
    if media == JSON:
        return JsonBody(limits, sink)
    if media == BYTES or media.startswith(_SOUND):
        return RawBody(request.query_params.get("name", ""), limits, sink)
    detail = f"The body is '{content_type[:80]}'. Send {FORM} with the field '{FIELD}', audio/*, {BYTES} or {JSON}"
    accepted = {"Accept-Post": f"{FORM}, audio/*, video/*, {BYTES}, {JSON}"}
    raise ProblemError(415, detail, "UnsupportedMediaType", accepted)


class RawBody:
    """A body that is the file itself."""

    several = False

    def __init__(self, name: str, limits: Limits, sink: Sink) -> None:
        self.max_bytes = limits.upload_bytes
        self._name, self._sink, self._begun = name, sink, False

    def feed(self, chunk: bytes) -> None:
        """See `Reader`."""
        if chunk and not self._begun:
            self._begun = True
            self._sink.begin()
        if chunk:
            self._sink.add(memoryview(chunk))

    def finish(self) -> list[str]:
        """See `Reader`."""
        return [self._name] if self._begun else []


class FormBody:
    """A multipart form with one or more files in the field `file` (RFC 7578)."""

    def __init__(self, boundary: bytes, limits: Limits, sink: Sink) -> None:
        self.several = False
        self.max_bytes = limits.upload_bytes
        self._max_recordings, self._sink = limits.recordings, sink
        self._names: list[str] = []
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._is_complete = False
        parts: dict[str, Callable[..., Any]] = {
            "on_part_begin": self._on_part,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": lambda data, start, end: self._sink.add(memoryview(data)[start:end]),
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, parts)  # type: ignore[arg-type]
        except FormParserError as error:
            raise _malformed(str(error)) from None

    def feed(self, chunk: bytes) -> None:
        """See `Reader`."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(str(error)) from None

    def finish(self) -> list[str]:
        """See `Reader`."""
        if not self._is_complete:
            raise _malformed("it ends before the last boundary")
        self.several = len(self._names) > 1
        return self._names

    def _on_part(self) -> None:
        self._disposition = b""

    def _on_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode(errors="replace")
        if field != FIELD:
            detail = f"The form has a field '{field[:80]}'. Allowed: '{FIELD}', once for each recording"
            raise ProblemError(422, detail, "SettingError")
        if len(self._names) == self._max_recordings:
            raise too_many(self._max_recordings)
        self._names.append(options.get(b"filename", b"").decode(errors="replace"))
        self._sink.begin()

    def _on_end(self) -> None:
        self._is_complete = True


class _Recording(msgspec.Struct, forbid_unknown_fields=True):
    audio_base64: bytes
    name: str = ""


class _Recordings(msgspec.Struct, forbid_unknown_fields=True):
    audio_base64: bytes | msgspec.UnsetType = msgspec.UNSET
    name: str = ""
    recordings: list[_Recording] | msgspec.UnsetType = msgspec.UNSET


class JsonBody:
    """JSON: `{"audio_base64": …, "name": …}`, or `{"recordings": […]}` with many of these."""

    def __init__(self, limits: Limits, sink: Sink) -> None:
        self.several = False
        self.max_bytes = limits.json_bytes
        self._max_recordings, self._sink = limits.recordings, sink
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        """Store the JSON like a recording until it is complete, because many clients may be sending theirs."""
        if chunk and not self._begun:
            self._begun = True
            self._sink.begin()
        if chunk:
            self._sink.add(memoryview(chunk))

    def finish(self) -> list[str]:
        """See `Reader`."""
        body = self._sink.take_back() if self._begun else b""
        try:
            decoded = msgspec.json.decode(body, type=_Recordings)
        except msgspec.ValidationError as error:
            detail = f"The JSON is not valid here: {error}. Send 'audio_base64' with 'name', or 'recordings'"
            raise ProblemError(422, detail, "SettingError") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _malformed(str(error)) from None
        if isinstance(decoded.audio_base64, bytes) == isinstance(decoded.recordings, list):
            detail = "The JSON has both or neither of 'audio_base64' and 'recordings'. Send exactly one of them"
            raise ProblemError(422, detail, "SettingError")
        self.several = isinstance(decoded.recordings, list)
        if isinstance(decoded.audio_base64, bytes):
            recordings = [_Recording(decoded.audio_base64, decoded.name)]
        else:
            recordings = decoded.recordings or []
        if len(recordings) > self._max_recordings:
            raise too_many(self._max_recordings)
        for recording in recordings:
            self._sink.begin()
            self._sink.add(memoryview(recording.audio_base64))
        return [recording.name for recording in recordings]


def too_many(limit: int) -> ProblemError:
    """Return the problem for a request with too many recordings."""
    detail = f"The request has more than {limit} recordings. Send them in several requests"
    return ProblemError(413, detail, "TooManyRecordings")


def _malformed(reason: str) -> ProblemError:
    return ProblemError(400, f"The body is malformed: {reason}", "MalformedBody")
