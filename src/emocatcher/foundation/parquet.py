"""The optional pyarrow, which writes and reads Parquet."""

from __future__ import annotations

from typing import Any

from emocatcher.foundation.errors import MissingExtraError


def import_pyarrow() -> tuple[Any, Any]:
    """Import pyarrow and its Parquet module.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("Parquet", "batch", "CSV and JSONL need none") from None
    return pa, parquet
