"""Batches of a table's rows: a pandas data frame, an Arrow table or record batch, or a dict of NumPy arrays.

Columns are added with types that do not depend on their values, so that the parts of one table can be joined. Neither
pandas nor pyarrow is imported here: only a program that has loaded one of them can give such a batch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from emocatcher.foundation.errors import SettingError
from emocatcher.recognition.batch.rows import Value

_PANDAS_TYPES = {str: "string", float: "float64", bool: "boolean", int: "Int64"}
# NumPy has no missing values. Where there is no answer, one should abstain.
_NUMPY_MISSING = {str: "", float: np.nan, bool: True, int: 0}
_NUMPY_TYPES = {str: np.str_, float: np.float64, bool: np.bool_, int: np.int64}


class Batch(Protocol):
    """Some rows of a table."""

    names: list[str]  # of the columns

    def cells(self, column: str) -> Sequence[object]:
        """Return the values of a column."""

    def chosen(self, columns: Sequence[str]) -> Any:
        """Return the batch, as it was given, with some of its columns, in this order."""

    def replaced(self, column: str, change: Callable[[Any], Any]) -> Any:
        """Return the batch, as it was given, with each value of a column changed to one of the same type or missing."""

    def added(self, columns: Mapping[str, type], values: Mapping[str, Sequence[Value]]) -> Any:
        """Return the batch, as it was given, with more columns of these types; None is a missing value."""


def opened(batch: Any) -> Batch:
    """Return a batch of any kind in one form.

    Raises:
        SettingError: if it is of another kind.
    """
    pandas, pyarrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if pandas is not None and isinstance(batch, pandas.DataFrame):
        return _Frame(pandas, batch)
    if pyarrow is not None and isinstance(batch, pyarrow.Table | pyarrow.RecordBatch):
        return _Arrow(pyarrow, batch)
    if isinstance(batch, Mapping):
        return _Arrays(batch)
    raise SettingError(
        f"A {type(batch).__name__} is not a batch. Give a pandas DataFrame, a pyarrow Table or RecordBatch, or a dict "
        "of NumPy arrays"
    )


class _Frame:
    def __init__(self, pandas: Any, frame: Any) -> None:
        self._pandas, self._frame = pandas, frame
        self.names = list(frame.columns)

    def cells(self, column: str) -> Sequence[object]:
        return list(self._frame[column])

    def chosen(self, columns: Sequence[str]) -> Any:
        return self._frame[list(columns)]

    def replaced(self, column: str, change: Callable[[Any], Any]) -> Any:
        old = self._frame[column]
        new = self._pandas.Series([change(cell) for cell in old], index=old.index, dtype=old.dtype)
        return self._frame.assign(**{column: new})

    def added(self, columns: Mapping[str, type], values: Mapping[str, Sequence[Value]]) -> Any:
        index = self._frame.index
        new = {
            name: self._pandas.Series(values[name], index=index, dtype=_PANDAS_TYPES[kind])
            for name, kind in columns.items()
        }
        return self._pandas.concat([self._frame, self._pandas.DataFrame(new, index=index)], axis=1)


class _Arrow:
    def __init__(self, pyarrow: Any, table: Any) -> None:
        self._pyarrow, self._table = pyarrow, table
        self.names = list(table.schema.names)

    def cells(self, column: str) -> Sequence[object]:
        found: list[object] = self._table.column(column).to_pylist()
        return found

    def chosen(self, columns: Sequence[str]) -> Any:
        return self._table.select(list(columns))

    def replaced(self, column: str, change: Callable[[Any], Any]) -> Any:
        field = self._table.schema.field(column)
        new = self._pyarrow.array([change(cell) for cell in self.cells(column)], field.type)
        return self._table.set_column(self.names.index(column), field, new)

    def added(self, columns: Mapping[str, type], values: Mapping[str, Sequence[Value]]) -> Any:
        schema = self._pyarrow.schema(list(arrow_types(columns).items()))
        old = self._table
        arrays = [self._pyarrow.array(values[field.name], field.type) for field in schema]
        schema = self._pyarrow.schema([*old.schema, *schema], metadata=old.schema.metadata)
        return type(old).from_arrays([*old.columns, *arrays], schema=schema)


class _Arrays:
    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self._arrays = arrays
        self.names = list(arrays)
        if len({len(array) for array in arrays.values()}) > 1:
            listed = ", ".join(f"{name}: {len(array)}" for name, array in arrays.items())
            raise SettingError(f"The arrays of the batch differ in length ({listed}). Give one value for each row")

    def cells(self, column: str) -> Sequence[object]:
        if getattr(self._arrays[column], "dtype", np.dtype(object)).kind == "S":
            raise SettingError(
                f"The column '{column}' has NumPy's type for bytes, which loses zero bytes at the end. Give an array "
                "of the type object"
            )
        return list(self._arrays[column])

    def chosen(self, columns: Sequence[str]) -> Any:
        return {name: self._arrays[name] for name in columns}

    def replaced(self, column: str, change: Callable[[Any], Any]) -> Any:
        new = np.empty(len(self._arrays[column]), object)
        new[:] = [change(cell) for cell in self._arrays[column]]
        return {**self._arrays, column: new}

    def added(self, columns: Mapping[str, type], values: Mapping[str, Sequence[Value]]) -> Any:
        new: dict[str, Any] = {
            name: np.array([_NUMPY_MISSING[kind] if v is None else v for v in values[name]], _NUMPY_TYPES[kind])
            for name, kind in columns.items()
        }
        return {**self._arrays, **new}


def arrow_types(columns: Mapping[str, type]) -> dict[str, Any]:
    """Return the Arrow type of each column; pyarrow is loaded."""
    pyarrow = sys.modules["pyarrow"]
    types = {str: pyarrow.string(), float: pyarrow.float64(), bool: pyarrow.bool_(), int: pyarrow.int64()}
    return {name: types[kind] for name, kind in columns.items()}
