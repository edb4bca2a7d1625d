"""Send live sound to a server's stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emocatcher.audio import arrays
from emocatcher.audio.channels import LiveMixer
from emocatcher.client.request_bodies import is_mono_int16
from emocatcher.foundation.errors import SettingError

_MESSAGE_S = 0.5  # of live sound; a server accepts several seconds in one message


class Encoder:
    """Encodes samples for the stream: mono int16 unchanged, all other types mixed to one channel of float32."""

    def __init__(self, first: ArrayLike, sample_rate: int, window_s: float) -> None:
        self._is_int16 = is_mono_int16(first)
        self.encoding = "pcm16" if self._is_int16 else "float32"
        self._n_at_once = max(round(_MESSAGE_S * sample_rate), 1)
        self._mixer = LiveMixer(sample_rate, round(window_s * sample_rate))

    def encode(self, chunk: ArrayLike) -> Iterator[bytes]:
        """Yield the messages for a chunk."""
        if np.size(chunk) == 0:
            return
        if not self._is_int16:
            yield from self._messages(self._mixer.push(arrays.from_chunk(chunk)), "<f4")
        elif is_mono_int16(chunk):
            yield from self._messages(np.asarray(chunk), "<i2")
        else:
            kind = np.asarray(chunk).dtype
            raise SettingError(
                f"A chunk has the type {kind}, but the first was mono int16. Give all chunks the same type"
            )

    def finish(self) -> Iterator[bytes]:
        """Yield the last messages."""
        yield from self._messages(self._mixer.finish(), "<f4")

    def _messages(self, samples: NDArray[np.generic], dtype: str) -> Iterator[bytes]:
        for start in range(0, len(samples), self._n_at_once):
            yield samples[start : start + self._n_at_once].astype(dtype).tobytes()


class Sender:
    """Sends the chunks in a thread, so that a caller who receives windows slowly does not delay the sound."""

    def __init__(
        self, socket: Any, encoder: Encoder, first: NDArray[np.generic], rest: Iterator[NDArray[np.generic]]
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
