"""Call a server (`emocatcher serve`) with the standard library; the live stream needs the extra `serve`.

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
from numpy.typing import ArrayLike, NDArray

from emocatcher.audio import arrays
from emocatcher.audio.channels import LiveMixer
from emocatcher.foundation.errors import DecodeError, MissingExtraError, ServerError, SettingError
from emocatcher.recognition.prediction import Prediction
from emocatcher.recognition.timeline import Timeline, Window

Source: TypeAlias = "str | Path | bytes | tuple[NDArray[np.generic], int]"

_BYTES = "application/octet-stream"
_MESSAGE_S = 0.5  # of live sound; a server accepts several seconds in one message


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

    def predict(self, source: Source, *, abstain_below: float | None = None) -> Prediction:
        """Recognise one recording, as `Recognizer.predict` does.

        Args:
            source: a path, an encoded file's bytes, or (samples, sample_rate).
            abstain_below: the probability below which the prediction is marked `abstain`; None for the model's own
                threshold.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
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
            window_s: length of a window, in seconds.
            hop_s: from the start of one window to the next, in seconds.
            abstain_below: as for `predict`, for windows and segments.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
            DecodeError: if there is no such file.
        """
        query = {"window_s": window_s, "hop_s": hop_s, **_threshold(abstain_below)}
        payload = self._send_recording("/v1/timeline", source, query)
        return msgspec.json.decode(payload, type=Timeline)

    def model(self) -> dict[str, Any]:
        """Return the server's description of its model: labels, sample rate, scores, card.

        Raises:
            ServerError: if the server refuses it or cannot be reached.
        """
        described: dict[str, Any] = json.loads(self._request("GET", "/v1/model"))
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
        """Recognise sound while it is being recorded.

        Args:
            chunks: as for `Stream.push`; a thread reads and sends them as fast as the server processes them.
            sample_rate: of the chunks, in Hz.
            window_s: length of a window, in seconds.
            hop_s: from the start of one window to the next, in seconds.
            abstain_below: as for `predict`, for windows.

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
        encoder = _Encoder(first, sample_rate, window_s)
        hello = {"type": "hello", "sample_rate": sample_rate, "encoding": encoder.encoding}
        hello |= {"window_s": window_s, "hop_s": hop_s, "token": self._token, **_threshold(abstain_below)}
        sender: _Sender | None = None
        try:
            # No pings, because under backpressure they would wait behind the sound.
            options: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None}
            with connect(address, open_timeout=self._timeout_s, close_timeout=1, **options) as socket:
                socket.send(json.dumps(hello))
                _decode_message(socket.recv(self._timeout_s), "ready")
                sender = _Sender(socket, encoder, first, iterator)
                while True:
                    window = _decode_message(socket.recv(), "window", "done")
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

    def _send_recording(self, path: str, source: Source, query: dict[str, float]) -> bytes:
        parameters: dict[str, float | str] = {**query}
        if isinstance(source, str | Path):
            parameters["name"] = os.fspath(source)
        with _open_body(source) as (body, n_bytes):
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
        if answer.status != http.client.OK:
            raise _refusal(answer.status, payload, answer.headers.get("Retry-After"))
        return payload


def _threshold(abstain_below: float | None) -> dict[str, float]:
    return {} if abstain_below is None else {"abstain_below": abstain_below}


class _Encoder:
    """Encodes samples for the stream: mono int16 unchanged, all other types mixed to one channel of float32."""

    def __init__(self, first: ArrayLike, sample_rate: int, window_s: float) -> None:
        self._is_int16 = _is_mono_int16(first)
        self.encoding = "pcm16" if self._is_int16 else "float32"
        self._n_at_once = max(round(_MESSAGE_S * sample_rate), 1)
        self._mixer = LiveMixer(sample_rate, round(window_s * sample_rate))

    def encode(self, chunk: ArrayLike) -> Iterator[bytes]:
        if np.size(chunk) == 0:
            return
        if not self._is_int16:
            yield from self._messages(self._mixer.push(arrays.from_chunk(chunk)), "<f4")
        elif _is_mono_int16(chunk):
            yield from self._messages(np.asarray(chunk), "<i2")
        else:
            kind = np.asarray(chunk).dtype
            raise SettingError(
                f"A chunk has the type {kind}, but the first was mono int16. Give all chunks the same type"
            )

    def finish(self) -> Iterator[bytes]:
        yield from self._messages(self._mixer.finish(), "<f4")

    def _messages(self, samples: NDArray[np.generic], dtype: str) -> Iterator[bytes]:
        for start in range(0, len(samples), self._n_at_once):
            yield samples[start : start + self._n_at_once].astype(dtype).tobytes()


def _is_mono_int16(chunk: ArrayLike) -> bool:
    array = np.asarray(chunk)
    return bool(array.dtype.kind == "i" and array.dtype.itemsize == 2 and array.ndim == 1)


class _Sender:
    """Sends the chunks in a thread, so that a caller who receives windows slowly does not delay the sound."""

    def __init__(
        self, socket: Any, encoder: _Encoder, first: NDArray[np.generic], rest: Iterator[NDArray[np.generic]]
    ) -> None:
        self._socket, self._encoder, self._first, self._rest = socket, encoder, first, rest
        self._failure: BaseException | None = None
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            samples: NDArray[np.generic] | None = self._first
            while samples is not None:
                for piece in self._encoder.encode(samples):
                    self._socket.send(piece)
                samples = next(self._rest, None)
            for piece in self._encoder.finish():
                self._socket.send(piece)
            self._socket.send('{"type":"finish"}')
        except ConnectionClosed:
            pass  # the receiving thread gets the reason
        except BaseException as error:  # raised by the caller's iterator
            self._failure = error
            self._socket.close()

    def check(self) -> None:
        """Raise the exception of the caller's iterator, if there was one."""
        if self._failure is not None:
            raise self._failure


def _decode_message(text: str | bytes, *allowed: str) -> Window | None:
    """Decode a message of the server: a window, or None for "ready" and "done"."""
    message = json.loads(text)
    if message["type"] == "error":
        raise ServerError(message["detail"], error=message["error"])
    if message["type"] not in allowed:
        raise ServerError(
            f"The server sent a message of type '{message['type']}' instead of {' or '.join(allowed)}. "
            "Use the same version of emocatcher on both sides"
        )
    return msgspec.convert(message, Window) if message["type"] == "window" else None


def _refusal(status: int, payload: bytes, retry_after: str | None) -> ServerError:
    wait_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
    try:
        problem = json.loads(payload)
        return ServerError(problem["detail"], status=status, error=problem["error"], retry_after_s=wait_s)
    except (ValueError, KeyError, TypeError):  # the answer of a proxy, for example
        detail = f"The server returned {status} without details. Check that the address is an emocatcher server's"
        return ServerError(detail, status=status, retry_after_s=wait_s)


@contextlib.contextmanager
def _open_body(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
        return
    if isinstance(source, tuple):
        import soundfile

        target = io.BytesIO()
        samples, divisor = arrays.from_array(source[0])
        if divisor > 1.0 and float(np.abs(samples).max()) * divisor > arrays.LARGEST_FLOAT:
            samples = samples * np.float32(divisor)  # the server divides it again, and tells the caller
        subtype = "FLOAT"
        if _is_mono_int16(source[0]):  # half as large
            samples, subtype = np.asarray(source[0]).astype(np.int16), "PCM_16"
        soundfile.write(target, samples, source[1], format="WAV", subtype=subtype)
        yield io.BytesIO(target.getvalue()), target.tell()
        return
    try:
        with Path(source).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DecodeError(source, f"cannot be opened: {error.strerror}") from None
