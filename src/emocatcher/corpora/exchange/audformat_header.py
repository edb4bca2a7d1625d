"""Read the header of an audformat database, `db.yaml`: its schemes, splits and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from emocatcher.foundation.errors import CorpusError, MissingExtraError

HEADER = "db.yaml"
_LARGEST = 1 << 24  # bytes


class Scheme(msgspec.Struct, kw_only=True):
    """What the values of a column are."""

    dtype: str = ""
    labels: list[Any] | dict[Any, Any] | str | None = None  # a text names a table of `misc_tables`
    minimum: float | None = None
    maximum: float | None = None


class Column(msgspec.Struct, kw_only=True):
    """A column of a table."""

    scheme_id: str | None = None
    rater_id: str | None = None


class Table(msgspec.Struct, kw_only=True):
    """A table of files, or of segments of files."""

    type: str = ""  # "filewise" or "segmented"
    split_id: str | None = None
    columns: dict[str, Column | None] = {}


class MiscTable(msgspec.Struct, kw_only=True):
    """A table of anything else, such as speakers."""

    levels: dict[str, str | None] | list[str] = {}
    columns: dict[str, Column | None] = {}


class Split(msgspec.Struct, kw_only=True):
    """A part of the database."""

    type: str = ""


class Header(msgspec.Struct, kw_only=True):
    """The content of `db.yaml`, as far as it is used."""

    name: str
    license: str | None = None
    schemes: dict[str, Scheme | None] = {}
    splits: dict[str, Split | None] = {}
    tables: dict[str, Table] = {}
    misc_tables: dict[str, MiscTable] = {}

    def scheme(self, column: str, of: Column | None) -> tuple[str, Scheme]:
        """Return the name and the scheme of a column; the column's name and an empty scheme if it has none.

        Raises:
            KeyError: if the header lacks the scheme.
        """
        name = of.scheme_id if of and of.scheme_id else ""
        return (name, self.schemes[name] or Scheme()) if name else (column, Scheme())


def read(folder: Path) -> Header:
    """Read `db.yaml`. Only plain values are accepted: no object is made, and no reference is followed.

    Raises:
        CorpusError: if it is not the header of a database, or a column names a scheme or a split that it lacks.
        MissingExtraError: if PyYAML is not installed.
    """
    path = folder / HEADER
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise CorpusError(f"{path} has {size:,} bytes; allowed are {_LARGEST:,}")
        header = msgspec.convert(_plain(path.read_bytes(), path), Header, strict=False)
    except (OSError, msgspec.ValidationError) as error:
        raise CorpusError(f"{path} does not describe a database of audformat: {error}. Get it again") from None
    for name, table in header.tables.items():
        if table.split_id is not None and table.split_id not in header.splits:
            raise CorpusError(f"{path}: the table {name} has the split '{table.split_id}', which the header lacks")
        for column, of in table.columns.items():
            if of and of.scheme_id and of.scheme_id not in header.schemes:
                raise CorpusError(
                    f"{path}: the column {column} of the table {name} has the scheme '{of.scheme_id}', which the "
                    "header lacks. Get the database again"
                )
    return header


def _plain(content: bytes, path: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("Reading audformat", "exchange") from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # A few nested references (&a, *a) can stand for billions of values.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, loader)):
            raise CorpusError(f"{path} has references (&, *), which audformat does not write. Write it without them")
        return yaml.load(content, loader)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CorpusError(f"{path} is not YAML: {reason[:300]}. Get it again") from None
