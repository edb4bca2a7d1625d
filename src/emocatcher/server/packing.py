"""How the page's large files lie in the package: without what the package holds already, and compressed.

The graph that the page runs holds the network's weights, as the model's own graph does; packed against that, a
seventieth of it is left. `hatch_build.py` packs, from outside of the package, so that nothing but Python itself is
imported here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

SUFFIX = ".packed"
_PROBE = 1024  # bytes; shorter things in common are not looked for
_STRIDE = 1 << 16  # bytes compared at a time


def pack(content: bytes, base: bytes = b"") -> bytes:
    """Write down what `content` has beyond `base`.

    Args:
        content: any file.
        base: a file that holds parts of it, word for word; `unpack` needs the same.

    Examples:
        >>> weights = bytes(range(256)) * 40
        >>> packed = pack(b"head" + weights + b"tail", b"another head" + weights)
        >>> unpack(packed, b"another head" + weights) == b"head" + weights + b"tail"
        True
    """
    import lzma  # not in every Python, and needed only where something is packed

    parts, own, start, place = [], [], 0, 0
    while place + _PROBE <= len(content):
        found = base.find(content[place : place + _PROBE])
        if found < 0:
            place += _PROBE
            continue
        while place > start and found and content[place - 1] == base[found - 1]:
            place, found = place - 1, found - 1
        n_same = _n_same(content, place, base, found)
        parts.append((place - start, found, n_same))
        own.append(content[start:place])
        start = place = place + n_same
    parts.append((len(content) - start, 0, 0))
    own.append(content[start:])
    header = json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "parts": parts})
    return lzma.compress(header.encode() + b"\n" + b"".join(own), preset=9 | lzma.PRESET_EXTREME)


def unpack(packed: bytes, base: bytes = b"") -> bytes:
    """What `pack` was given.

    Raises:
        ValueError: if `base` is another than it was packed against, or `packed` is not whole.
    """
    import lzma

    try:
        header, _, own = lzma.decompress(packed).partition(b"\n")
        said = json.loads(header)
        pieces, place = [], 0
        for n_own, found, n_same in said["parts"]:
            pieces += [own[place : place + n_own], base[found : found + n_same]]
            place += n_own
    except (lzma.LZMAError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"a file of the page is damaged ({error}). Install emocatcher again") from error
    content = b"".join(pieces)
    if hashlib.sha256(content).hexdigest() != said["sha256"]:
        raise ValueError("a file of the page does not fit the model beside it. Install emocatcher again")
    return content


def base_of(place: str, page: Path, models: Path) -> bytes:
    """What a file of the page is packed against: its graph, against the same model's in the package, where that is.

    Args:
        place: the file's, in the page's folder.
        page: that folder.
        models: the package's models.
    """
    if not place.endswith(".onnx"):
        return b""
    graph = models / json.loads((page / "model" / "model.json").read_bytes())["name"] / "model.onnx"
    return graph.read_bytes() if graph.is_file() else b""


def _n_same(content: bytes, place: int, base: bytes, found: int) -> int:
    """How many bytes agree from these places on."""
    n_same, stride = 0, _STRIDE
    while stride:
        ours = content[place + n_same : place + n_same + stride]
        if ours and ours == base[found + n_same : found + n_same + stride]:
            n_same += len(ours)
        else:
            stride //= 2
    return n_same
