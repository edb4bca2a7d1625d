"""Read Arrow files as `datasets` saves them, batch by batch, without trusting what they declare."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.parquet import import_pyarrow


def schema(path: Path) -> Any:
    """Return the schema.

    Raises:
        CorpusError: if the file is not an Arrow stream.
        MissingExtraError: if pyarrow is not installed.
    """
    pa, _ = import_pyarrow()
    try:
        with pa.memory_map(str(path)) as source:
            return _read_schema(pa.ipc.MessageReader.open_stream(source))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def batches(path: Path) -> Iterator[Any]:
    """Yield the record batches; the file is mapped, so that only what is used takes memory.

    Raises:
        CorpusError: if the file is damaged, or has compressed or dictionary-encoded batches, which `datasets` does not
            write: a small file could then fill the memory.
        MissingExtraError: if pyarrow is not installed.
    """
    pa, _ = import_pyarrow()
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.MessageReader.open_stream(source)
            found = _read_schema(reader)
            for message in reader:
                if message.type != "record batch" or _is_compressed(message.metadata.to_pybytes()):
                    raise CorpusError(
                        f"{path} has compressed batches or dictionaries, which `datasets` does not write. Save it "
                        "again with save_to_disk"
                    )
                batch = pa.ipc.read_record_batch(message, found)
                batch.validate(full=True)  # offsets of a damaged file could point anywhere
                _ = batch.columns  # a type that pyarrow does not know raises KeyError
                yield batch
    except (pa.ArrowException, OSError, ValueError, KeyError, struct.error) as error:
        raise _damaged(path, error) from None


def _read_schema(reader: Any) -> Any:
    pa, _ = import_pyarrow()
    try:
        message = reader.read_next_message()
    except StopIteration:
        raise ValueError("it is empty") from None
    if message.type != "schema":  # which would end the process
        raise ValueError("it does not begin with a schema")
    found = pa.ipc.read_schema(message)
    # A name that is not text raises UnicodeDecodeError, which is a ValueError; a type that does not exist a KeyError.
    kinds = [field.type for field in found]
    inside = [kind.field(number) for kind in kinds if pa.types.is_struct(kind) for number in range(len(kind))]
    _ = found.names, [(field.name, field.type) for field in inside]
    return found


def _damaged(path: Path, error: Exception) -> CorpusError:
    reason = (str(error).splitlines() or ["no Arrow stream"])[0].rstrip(".")
    return CorpusError(f"{path} is not an Arrow file of `datasets`: {reason}. Get it again")


def _is_compressed(message: bytes) -> bool:
    """Whether the buffers of a batch are compressed, by the field `compression` of its header.

    The header is a FlatBuffers table (Arrow's `format/Message.fbs`): of `Message`, the field 2 is the header; of
    `RecordBatch`, the field 3 is the compression.
    """
    (root,) = struct.unpack_from("<I", message, 0)
    at = _field(message, root, 2)
    if not at:
        raise ValueError("a batch has no header")
    (offset,) = struct.unpack_from("<I", message, at)
    return _field(message, at + offset, 3) != 0


def _field(buffer: bytes, table: int, number: int) -> int:
    """Return the position of a field of a FlatBuffers table; 0 if the table does not have it."""
    (back,) = struct.unpack_from("<i", buffer, table)
    start = table - back
    if start < 0:
        raise ValueError("a header points outside the file")
    (size,) = struct.unpack_from("<H", buffer, start)
    place = 4 + 2 * number
    if place >= size:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, start + place)
    return table + offset if offset else 0
