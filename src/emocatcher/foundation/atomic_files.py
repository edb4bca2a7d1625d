"""Atomic file writes, and tensor files whose every byte is checked."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import math
import mmap
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

Tensors = dict[str, NDArray[Any]]
_DTYPES = {"F32": np.float32, "I64": np.int64}  # of what is mapped
_LOCKED_AFTER_S = 1.0  # a process locks its temporary file at once


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file atomically: after a kill or on a full disk, the file has its old content, or does not exist.

    The temporary file that a killed process left is removed when the same file is written again.

    Args:
        path: the file; missing parent folders are created.

    Yields:
        the file to write the new content to; it replaces the old one at the end of the `with` block.

    Raises:
        OSError: if the file cannot be written; it is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    lock = None
    try:
        # `open`, not `tempfile`: the finished file then gets permissions by the user's umask.
        with temporary.open("xb") as file:
            if sys.platform != "win32":  # which does not rename open files
                lock = os.dup(file.fileno())  # keeps the lock until the file is renamed
                with contextlib.suppress(OSError):  # some file systems have no locks
                    _lock(lock)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def _remove_left(path: Path) -> None:
    """Remove the temporary files of killed processes; those of running ones are locked."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_ctime > _LOCKED_AFTER_S:
                _lock(file.fileno())
                left.unlink()


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":  # which does not remove open files
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a file atomically, like `replacing`."""
    with replacing(path) as file:
        file.write(payload)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, like `write_bytes`."""
    write_bytes(path, text.encode())


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], meta: object) -> None:
    """Write arrays and JSON data atomically as one safetensors file with a checksum.

    Raises:
        OSError: if the file cannot be written; it is then unchanged.
    """
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    text = json.dumps(meta)
    write_bytes(path, save(contiguous, metadata={"meta": text, "sha256": _digest(contiguous, text)}))


def read_tensors(path: Path) -> tuple[Tensors, Any] | None:
    """Read a file that `write_tensors` wrote; return None if it does not exist or its checksum is wrong."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if _digest(tensors, metadata["meta"]) != metadata["sha256"]:
            return None
        return tensors, json.loads(metadata["meta"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def map_tensors(path: Path) -> Tensors:
    """Map a file that `write_tensors` wrote into memory: read-only arrays, whose checksum is not tested.

    Raises:
        OSError: if the file cannot be opened.
    """
    with path.open("rb") as file:
        # Python holds a copy of the descriptor of each mapping otherwise, and a process may have few.
        unheld = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **unheld)
    # The format: the length of the header in 8 bytes, the header in JSON, the arrays.
    start = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:start])
    return {
        name: np.frombuffer(
            whole, _DTYPES[one["dtype"]], math.prod(one["shape"]), start + one["data_offsets"][0]
        ).reshape(one["shape"])
        for name, one in header.items()
        if name != "__metadata__"
    }


def _digest(tensors: Mapping[str, NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].data)
    return digest.hexdigest()
