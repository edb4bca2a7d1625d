"""Call a server's routes over HTTP, and its WebSocket for live sound."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.audio.sources import Source, path_of
from emocatcher.client import request_bodies
from emocatcher.client.live_sound import Encoder, Sender
from emocatcher.client.replies import decode, decode_message, refusal
from emocatcher.foundation.errors import MissingExtraError, ServerError, SettingError
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.timeline import Timeline, Window

_BYTES = "application/octet-stream"


class _Named(msgspec.Struct):
    settled: str


class Client:
    """A client of an emocatcher server. Each call opens its own connection, so threads can share a client.

    Args:
        url: the server's address, e.g. "http://127.0.0.1:8000".
        token: the server's bearer token; None if it requires none.
        timeout_s: how long to wait for the server, in seconds.

    Raises:
        SettingError: if the URL is not a valid address.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, timeout_s: float = 60.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingError(f"'{url}' is not a server's address. Give one such as http://127.0.0.1:8000")
        self._secure = parts.scheme == "https"
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token, self._timeout_s = token, timeout_s

    def predict(
        self,
        source: Source,
        *,
        abstain_below: float | None = None,
        settled: str | None = None,
        emotions: Sequence[str] | None = None,
    ) -> Prediction:
        """Recognise one recording, as `Recognizer.predict` does.

        Args:
            source: a path, a URI, an encoded file's bytes, or (samples, sample_rate).
            abstain_below: the probability below which the prediction is marked `abstain`; None for the model's own
                threshold.
            settled: the name of a profile, from `settle`; None for what the server was started with, "" for nothing.
            emotions: that the answer is restricted to; None for all.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
            DecodeError: if there is no such file.
        """
        payload = self._send_recording("/v1/predict", source, _changes(abstain_below, settled, emotions))
        return decode(payload, Prediction)

    def timeline(
        self,
        source: Source,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        *,
        abstain_below: float | None = None,
        settled: str | None = None,
        emotions: Sequence[str] | None = None,
    ) -> Timeline:
        """Recognise a recording of any length window by window, as `Recognizer.timeline` does.

        Args:
            source: as for `predict`.
            window_s: length of a window, in seconds.
            hop_s: from the start of one window to the next, in seconds.
            abstain_below: as for `predict`, for windows and segments.
            settled: as for `predict`.
            emotions: as for `predict`.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
            DecodeError: if there is no such file.
        """
        query = {"window_s": window_s, "hop_s": hop_s, **_changes(abstain_below, settled, emotions)}
        payload = self._send_recording("/v1/timeline", source, query)
        return decode(payload, Timeline)

    def model(self) -> dict[str, Any]:
        """Return the server's description of its model: labels, sample rate, scores, card.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
        """
        return decode(self._request("GET", "/v1/model"), dict[str, Any])

    def stream(
        self,
        chunks: Iterable[NDArray[np.generic]],
        sample_rate: int,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        *,
        abstain_below: float | None = None,
        settled: str | None = None,
        emotions: Sequence[str] | None = None,
    ) -> Iterator[Window]:
        """Recognise sound while it is being recorded.

        Args:
            chunks: as for `Stream.push`; a thread reads and sends them as fast as the server processes them.
            sample_rate: of the chunks, in Hz.
            window_s: length of a window, in seconds.
            hop_s: from the start of one window to the next, in seconds.
            abstain_below: as for `predict`, for windows.
            settled: as for `predict`.
            emotions: as for `predict`.

        Yields:
            windows, as soon as they are recognised.

        Raises:
            ServerError: if the server ends the stream or cannot be reached.
            MissingExtraError: without the extra `serve`.
        """
        try:
            from websockets.exceptions import ConnectionClosed, WebSocketException
            from websockets.sync.client import connect
        except ImportError:
            raise MissingExtraError("A live stream", "serve") from None
        port = f":{self._port}" if self._port else ""
        shown = f"[{self._host}]" if ":" in self._host else self._host
        address = f"{'wss' if self._secure else 'ws'}://{shown}{port}{self._base}/v1/stream"
        iterator = iter(chunks)
        first = next(iterator, np.empty(0, np.float32))
        encoder = Encoder(first, sample_rate, window_s)
        hello = {"type": "hello", "sample_rate": sample_rate, "encoding": encoder.encoding}
        hello |= {"window_s": window_s, "hop_s": hop_s, "token": self._token, "abstain_below": abstain_below}
        hello |= {"settled": settled, "emotions": None if emotions is None else list(emotions)}
        sender: Sender | None = None
        try:
            # No pings, because under backpressure they would wait behind the sound.
            options: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None}
            with connect(address, open_timeout=self._timeout_s, close_timeout=1, **options) as socket:
                socket.send(json.dumps(hello))
                decode_message(socket.recv(self._timeout_s), "ready")
                sender = Sender(socket, encoder, first, iterator)
                while True:
                    window = decode_message(socket.recv(), "window", "done")
                    if window is None:
                        break
                    yield window
        except TimeoutError as error:
            raise ServerError(f"{address} did not answer within {self._timeout_s:g} s. Try again later") from error
        except ConnectionClosed as error:
            if sender is not None:
                sender.check()
            raise ServerError(f"{address} ended the stream: {error}") from error
        except (OSError, WebSocketException) as error:
            raise ServerError(f"{address} cannot be reached: {error}. Is `emocatcher serve` running?") from error

    def settle(self, sources: Iterable[Source]) -> str:
        """Settle on recordings of one room, microphone, language or voice, without labels.

        Args:
            sources: each as for `predict`; better 25 than 5, but no more than a request may have.

        Returns:
            the name of a profile, for `settled` of the other methods.

        Raises:
            ServerError: if the server refuses them, or fewer than five have speech, or it cannot be reached.
            DecodeError: if there is no such file.
        """
        body, kind = request_bodies.form(sources)
        headers = {"Content-Type": kind, "Content-Length": str(len(body))}
        return self._named(self._request("POST", "/v1/settle", io.BytesIO(body), headers))

    def use_profile(self, content: bytes) -> str:
        """Send a profile that was made before.

        Args:
            content: of a file of `emocatcher settle`.

        Returns:
            its name, as from `settle`.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
        """
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        return self._named(self._request("POST", "/v1/settle/profile", io.BytesIO(content), headers))

    def forget(self, settled: str) -> None:
        """Delete a profile.

        Raises:
            ServerError: if there is none of this name, or the server cannot be reached.
        """
        self._request("DELETE", f"/v1/settle/{quote(settled, safe='')}")

    @staticmethod
    def _named(payload: bytes) -> str:
        return decode(payload, _Named).settled

    def _send_recording(self, path: str, source: Source, query: dict[str, float | str]) -> bytes:
        parameters: dict[str, float | str] = {**query}
        if isinstance(source, str | Path):
            parameters["name"] = path_of(source)
        with request_bodies.opened(source) as (body, n_bytes):
            headers = {"Content-Type": _BYTES, "Content-Length": str(n_bytes)}
            return self._request("POST", f"{path}?{urlencode(parameters, errors='replace')}", body, headers)

    def _request(
        self, method: str, path: str, body: BinaryIO | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before the body was sent
                connection.request(method, self._base + path, body, {**token, **(headers or {})})
            answer = connection.getresponse()
            payload = answer.read()
        except (OSError, http.client.HTTPException) as error:
            where = f"{self._host}:{connection.port}"
            raise ServerError(f"{where} cannot be reached: {error}. Is `emocatcher serve` running?") from error
        finally:
            connection.close()
        if answer.status not in {http.client.OK, http.client.NO_CONTENT}:
            raise refusal(answer.status, payload, answer.headers.get("Retry-After"))
        return payload


def _changes(
    abstain_below: float | None, settled: str | None, emotions: Sequence[str] | None
) -> dict[str, float | str]:
    changes: dict[str, float | str] = {} if abstain_below is None else {"abstain_below": abstain_below}
    if settled is not None:
        changes["settled"] = settled
    if emotions is not None:
        changes["emotions"] = ",".join(emotions)
    return changes
