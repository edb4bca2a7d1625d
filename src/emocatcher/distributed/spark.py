"""`RecogniseBatch` in Spark: the function for `mapInPandas` or `mapInArrow`, and the schema of its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from emocatcher.distributed import added_columns, batches
from emocatcher.foundation.errors import SettingError


class SparkFunction:
    """A function from an iterator of batches to one of results; Spark sends it to its executors.

    Args:
        open_shared: returns the `RecogniseBatch` of a process, which stays for its next tasks.
        arguments: of it.
        keep: columns of the table that are in the result, before the added ones.
    """

    def __init__(
        self, open_shared: Callable[[dict[str, Any]], Callable[[Any], Any]], arguments: dict[str, Any],
        keep: Sequence[str],
    ) -> None:  # fmt: skip
        self._open_shared, self._arguments, self._keep = open_shared, arguments, tuple(keep)
        self.__name__ = "recognise"  # which Spark shows in its plans

    def __call__(self, tables: Iterator[Any]) -> Iterator[Any]:
        """Recognise batches, each when it is asked for."""
        recognise = self._open_shared(self._arguments)
        needed = dict.fromkeys(filter(None, (*self._keep, self._arguments["column"], self._arguments.get("id_column"))))
        for table in map(batches.opened, tables):
            added_columns.check_there(table.names, needed)
            result = batches.opened(recognise(table.chosen(list(needed))))
            left_out = set(needed) - {*self._keep, "path"}
            names = [name for name in result.names if name not in left_out]
            yield result.chosen([*self._keep, *(name for name in names if name not in self._keep)])


def schema(columns: Mapping[str, type], keep: Any) -> Any:
    """Return Spark's schema of a result.

    Args:
        columns: that are added, with their types.
        keep: Spark's schema of the columns that the result keeps; None for none.

    Raises:
        SettingError: if pyspark is not installed.
    """
    try:
        from pyspark.sql import types
    except ImportError:
        raise SettingError("Spark's schema needs pyspark. Install it with: pip install pyspark") from None
    kinds = {str: types.StringType(), float: types.DoubleType(), bool: types.BooleanType(), int: types.LongType()}
    kept = list(keep.fields) if keep is not None else []
    names = {field.name for field in kept}
    return types.StructType([*kept, *(types.StructField(n, kinds[k]) for n, k in columns.items() if n not in names)])
