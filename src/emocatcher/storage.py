"""Files that are there whole or not at all, and tensors whose every byte is checked."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

Tensors = dict[str, NDArray[Any]]


def write_bytes(path: Path, payload: bytes) -> None:
    """Write a file so that a kill or a full disk leaves the old one, or none.

    Args:
        path: the file; missing folders above it are made.
        payload: what it is to hold.

    Raises:
        OSError: if it cannot be written; the file is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Opened plainly, not as a private temporary file: the finished one follows the user's own habits of access.
        with temporary.open("xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], meta: object) -> None:
    """Write arrays and JSON data as one safetensors file with a checksum, whole or not at all.

    Raises:
        OSError: if it cannot be written; the file is then as it was.
    """
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    text = json.dumps(meta)
    write_bytes(path, save(contiguous, metadata={"meta": text, "sha256": _digest(contiguous, text)}))


def read_tensors(path: Path) -> tuple[Tensors, Any] | None:
    """Read what `write_tensors` wrote; None where there is no such file, or a byte is not as it was written."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if _digest(tensors, metadata["meta"]) != metadata["sha256"]:
            return None
        return tensors, json.loads(metadata["meta"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def _digest(tensors: Mapping[str, NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].data)
    return digest.hexdigest()
