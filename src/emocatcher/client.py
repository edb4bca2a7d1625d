"""A client of `emocatcher serve`, on Python's standard library; the live stream needs the extra `serve`.

```python
from emocatcher.client import Client

client = Client("http://127.0.0.1:8000")
print(client.predict("voice.m4a").emotion)
```
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import urlencode, urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from emocatcher.foundation.errors import DecodeError, MissingExtraError, ServerError, SettingError
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.timeline import Timeline, Window

Source: TypeAlias = "str | Path | bytes | tuple[NDArray[np.generic], int]"

_BYTES = "application/octet-stream"
_MESSAGE_S = 0.5  # of live sound; a server takes some seconds at once


class Client:
    """A server of emocatcher. Each call is a connection of its own, so that threads may share one.

    Args:
        url: where the server is, e.g. "http://127.0.0.1:8000".
        token: that the server asks for; None where it asks for none.
        timeout_s: until a silent server is given up, seconds.

    Raises:
        SettingError: if the URL is none that this client can use.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, timeout_s: float = 60.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingError(f"'{url}' is no server's address. Give one such as http://127.0.0.1:8000")
        self._secure = parts.scheme == "https"
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token, self._timeout_s = token, timeout_s

    def predict(self, source: Source, *, abstain_below: float | None = None) -> Prediction:
        """Recognise one recording, as `Recognizer.predict` does.

        Args:
            source: a path, an encoded file's bytes, or (samples, sample_rate).
            abstain_below: the probability under which the answer is marked `abstain`; None for the model's own.

        Raises:
            ServerError: if the server refuses it, or is not there.
            DecodeError: if there is no such file.
        """
        payload = self._send_recording("/v1/predict", source, _threshold(abstain_below))
        return msgspec.json.decode(payload, type=Prediction)

    def timeline(
        self, source: Source, window_s: float = 3.0, hop_s: float = 0.5, *, abstain_below: float | None = None
    ) -> Timeline:
        """Recognise a recording of any length window by window, as `Recognizer.timeline` does.

        Args:
            source: as for `predict`.
            window_s: length of a window, seconds.
            hop_s: from one window to the next, seconds.
            abstain_below: as for `predict`, of windows and segments.

        Raises:
            ServerError: if the server refuses it, or is not there.
            DecodeError: if there is no such file.
        """
        query = {"window_s": window_s, "hop_s": hop_s, **_threshold(abstain_below)}
        payload = self._send_recording("/v1/timeline", source, query)
        return msgspec.json.decode(payload, type=Timeline)

    def model(self) -> dict[str, Any]:
        """What the server says of its model: labels, sample rate, scores, card.

        Raises:
            ServerError: if the server refuses, or is not there.
        """
        described: dict[str, Any] = json.loads(self._ask("GET", "/v1/model"))
        return described

    def stream(
        self,
        chunks: Iterable[NDArray[np.generic]],
        sample_rate: int,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        *,
        abstain_below: float | None = None,
    ) -> Iterator[Window]:
        """Recognise sound while it is still coming.

        Args:
            chunks: mono samples, each of shape (n_samples,), int16 or floats in [-1, 1], all of one kind; taken as
                the server takes them, beside the caller's own work.
            sample_rate: of the chunks, Hz.
            window_s: length of a window, seconds.
            hop_s: from one window to the next, seconds.
            abstain_below: as for `predict`, of windows.

        Yields:
            windows, as soon as they are heard.

        Raises:
            ServerError: if the server ends the stream, or is not there.
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
        kind = _Kind(first, sample_rate)
        hello = {"type": "hello", "sample_rate": sample_rate, "encoding": kind.encoding}
        hello |= {"window_s": window_s, "hop_s": hop_s, "token": self._token, **_threshold(abstain_below)}
        sender: _Sender | None = None
        try:
            # No pings: where the server holds this client back, they would wait behind the sound.
            options: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None}
            with connect(address, open_timeout=self._timeout_s, close_timeout=1, **options) as socket:
                socket.send(json.dumps(hello))
                _message(socket.recv(self._timeout_s), "ready")
                sender = _Sender(socket, kind, first, iterator)
                while True:
                    message = _message(socket.recv(), "window", "done")
                    if message is None:
                        break
                    yield message
        except TimeoutError as error:
            raise ServerError(f"{address} gives no answer within {self._timeout_s:g} s") from error
        except ConnectionClosed as error:
            if sender is not None:
                sender.check()
            raise ServerError(f"{address} ended the stream: {error}") from error
        except (OSError, WebSocketException) as error:
            raise ServerError(f"{address} cannot be reached: {error}. Is `emocatcher serve` running?") from error

    def _send_recording(self, path: str, source: Source, query: dict[str, float]) -> bytes:
        named: dict[str, float | str] = {**query}
        if isinstance(source, str | Path):
            named["name"] = os.fspath(source)
        with _body(source) as (body, n_bytes):
            headers = {"Content-Type": _BYTES, "Content-Length": str(n_bytes)}
            return self._ask("POST", f"{path}?{urlencode(named, errors='replace')}", body, headers)

    def _ask(
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
        if answer.status != http.client.OK:
            raise _refusal(answer.status, payload, answer.headers.get("Retry-After"))
        return payload


def _threshold(asked: float | None) -> dict[str, float]:
    return {} if asked is None else {"abstain_below": asked}


class _Kind:
    """How samples go over the wire: 16-bit integers as they are, all others as floats."""

    def __init__(self, samples: NDArray[np.generic], sample_rate: int) -> None:
        whole = np.asarray(samples).dtype == np.int16
        self.encoding = "pcm16" if whole else "float32"
        self._dtype = np.dtype("<i2" if whole else "<f4")
        self._n_at_once = max(round(_MESSAGE_S * sample_rate), 1)

    def pieces(self, samples: NDArray[np.generic]) -> Iterator[bytes]:
        array = np.asarray(samples)
        if (array.dtype == np.int16) != (self.encoding == "pcm16") or array.ndim != 1:
            raise SettingError(
                f"A chunk is {array.dtype} of shape {array.shape}. Give (n_samples,), all int16 or all floats"
            )
        for start in range(0, len(array), self._n_at_once):
            yield array[start : start + self._n_at_once].astype(self._dtype).tobytes()


class _Sender:
    """Sends the chunks beside the thread that takes the windows: a caller who is slow to take them loses nothing."""

    def __init__(
        self, socket: Any, kind: _Kind, first: NDArray[np.generic], rest: Iterator[NDArray[np.generic]]
    ) -> None:
        self._socket, self._kind, self._first, self._rest = socket, kind, first, rest
        self._failure: BaseException | None = None
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            samples: NDArray[np.generic] | None = self._first
            while samples is not None:
                for piece in self._kind.pieces(samples):
                    self._socket.send(piece)
                samples = next(self._rest, None)
            self._socket.send('{"type":"finish"}')
        except ConnectionClosed:
            pass  # whoever receives learns why
        except BaseException as error:  # of the caller's own iterator
            self._failure = error
            self._socket.close()

    def check(self) -> None:
        """Raise what the caller's own chunks raised."""
        if self._failure is not None:
            raise self._failure


def _message(text: str | bytes, *allowed: str) -> Window | None:
    """A window; None for what says nothing more than that it goes on, or is over."""
    told = json.loads(text)
    if told["type"] == "error":
        raise ServerError(told["detail"], error=told["error"])
    if told["type"] not in allowed:
        raise ServerError(f"The server said '{told['type']}' where {' or '.join(allowed)} belongs")
    return msgspec.convert(told, Window) if told["type"] == "window" else None


def _refusal(status: int, payload: bytes, retry_after: str | None) -> ServerError:
    wait_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
    try:
        told = json.loads(payload)
        return ServerError(told["detail"], status=status, error=told["error"], retry_after_s=wait_s)
    except (ValueError, KeyError, TypeError):  # a proxy's own words
        return ServerError(f"The server answered {status}", status=status, retry_after_s=wait_s)


@contextlib.contextmanager
def _body(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
        return
    if isinstance(source, tuple):
        import soundfile

        target = io.BytesIO()
        samples = np.asarray(source[0])
        subtype = "PCM_16" if samples.dtype == np.int16 else "FLOAT"
        soundfile.write(target, samples, source[1], format="WAV", subtype=subtype)
        yield io.BytesIO(target.getvalue()), target.tell()
        return
    try:
        with Path(source).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DecodeError(source, f"cannot be opened: {error.strerror}") from None
