"""The options `--column` and `--id`, for tables of recordings without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from emocatcher.recognition.batch import Ids


def expand(
    recordings: Sequence[str], column: str | None, id_column: str | None, kind: str | None
) -> tuple[list[str], Ids | None]:
    """Return the recordings of these names, and the ids that their tables have.

    Args:
        recordings: as a user gives them; - is left out.
        column: of tables: the one with the recordings.
        id_column: of tables: the one with the ids.
        kind: format of the table to write; None for none.

    Raises:
        ManifestError: if an id is missing or occurs twice, or a recording has two.
        SettingError: if a name is no table, or the table to write has no column for ids.
    """
    from emocatcher.foundation.errors import ManifestError, SettingError, one_line
    from emocatcher.foundation.uris import redacted
    from emocatcher.recognition import batch

    if column is not None or id_column is not None:
        tables = [kind for kind in batch.LISTS if kind != ".txt"]
        if other := next((name for name in recordings if Path(name).suffix.lower() not in tables), None):
            raise SettingError(f"--column and --id are of tables, and '{redacted(other)}' is none: {', '.join(tables)}")
    if id_column is not None and kind not in ("csv", "parquet"):
        raise typer.BadParameter("needs a table with columns. Give --out FILE.csv or FILE.parquet", param_hint="--id")
    ids: dict[str, str] = {}
    recording_of: dict[str, str] = {}

    def add(recording: str, one: str | None) -> None:
        name = one_line(redacted(recording))
        if one is None:
            raise ManifestError(f"{name} has no {id_column}. Give every recording an id of its own")
        if recording_of.setdefault(one, name) != name:
            raise ManifestError(f"{id_column} '{one_line(one)}' is that of two recordings. Give each one of its own")
        if ids.setdefault(name, one) != one:
            raise ManifestError(f"{name} is there twice, with two ids. Give it once, or use --engine ray")

    found = batch.expand(
        (name for name in recordings if name != "-"),
        on_note=lambda note: typer.echo(f"Note: {one_line(note)}", err=True),
        column=column or "path",
        id_column=id_column,
        on_id=add,
    )
    return found, None if id_column is None else batch.Ids(id_column, ids)
