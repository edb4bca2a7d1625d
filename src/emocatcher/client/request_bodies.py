"""Turn recordings into bodies of requests."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from emocatcher.audio import arrays
from emocatcher.audio.sources import Source, check_several, held, path_of
from emocatcher.foundation import uris
from emocatcher.foundation.errors import DecodeError


@contextlib.contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    """Open a recording as a file; yield it with its number of bytes. A URI is read here, because no server reads one.

    Raises:
        DecodeError: if there is no such file.
        UnreachableError: if a URI cannot be read.
    """
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
        if is_mono_int16(source[0]):  # half as large
            samples, subtype = np.asarray(source[0]).astype(np.int16), "PCM_16"
        soundfile.write(target, samples, source[1], format="WAV", subtype=subtype)
        yield io.BytesIO(target.getvalue()), target.tell()
        return
    if isinstance(source, uris.RemoteFile):
        with source.open() as remote:
            yield remote, source.size
        return
    if uris.is_uri(source):
        with held(source, often=True) as found, opened(found) as body:
            yield body
        return
    try:
        with Path(source).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DecodeError(source, f"cannot be opened: {error.strerror}") from None


def form(sources: Iterable[Source]) -> tuple[bytes, str]:
    """Encode recordings as a multipart form (RFC 7578).

    Args:
        sources: each a path, a URI, an encoded file's bytes, or (samples, sample_rate).

    Returns:
        the body, and its Content-Type.

    Raises:
        DecodeError: if there is no such file.
        UnreachableError: if a URI cannot be read.
    """
    check_several(sources)
    boundary, parts = secrets.token_hex(16), []
    for source in sources:
        name = path_of(source)
        # Browsers escape these three, and no others (HTML, "multipart form data").
        escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode(errors="replace")
        with opened(source) as (file, _):
            content = file.read()
        head = b'Content-Disposition: form-data; name="file"; filename="' + escaped + b'"'
        parts.append(b"--" + boundary.encode() + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n")
    return b"".join([*parts, b"--" + boundary.encode() + b"--\r\n"]), f"multipart/form-data; boundary={boundary}"


def is_mono_int16(chunk: ArrayLike) -> bool:
    """Whether samples are one channel of int16."""
    array = np.asarray(chunk)
    return bool(array.dtype.kind == "i" and array.dtype.itemsize == 2 and array.ndim == 1)
