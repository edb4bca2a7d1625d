"""From what a user gives to a job: which rows there are, and what is done with them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emocatcher.distributed import added_columns, manifest_tables
from emocatcher.distributed.jobs import Work
from emocatcher.distributed.manifest_rows import Manifest
from emocatcher.distributed.result_folder import LISTING, NOTE, ResultFolder
from emocatcher.distributed.row_work import PredictRows, Tables
from emocatcher.distributed.timeline_rows import RECORDINGS, TimelineRows
from emocatcher.foundation import uris
from emocatcher.foundation.errors import SettingError, suggest
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.models import finding, model_folder
from emocatcher.recognition import batch, settling
from emocatcher.recognition.batch.rows import Outputs
from emocatcher.recognition.timeline import engine, formats

COLUMN = "path"


def work(
    command: str,
    model: str | None,
    column: str,
    id_column: str | None,
    *,
    settled: Path | None = None,
    emotions: Sequence[str] | None = None,
    channels: str = "mix",
    abstain_below: float | None = None,
    window_s: float = 3.0,
    hop_s: float = 0.5,
    kind: str | None = None,
) -> Work:
    """Return what is done with the rows, after all options were checked.

    Args:
        command: "predict" or "timeline".
        model: as for `load`.
        column: of the recordings.
        id_column: of the ids.
        settled: the file of what the model settled on.
        emotions: the labels that answers are restricted to.
        channels: as for `Recognizer.predict`.
        abstain_below: as for `Recognizer.predict`.
        window_s: of a timeline: length of a window, seconds.
        hop_s: of a timeline: from the start of one window to the start of the next, seconds.
        kind: of a timeline: format of a file for each recording; None for none.

    Raises:
        ModelError: if there is no such model.
        SettingError: if an option is not allowed.
    """
    if channels == "each":
        raise SettingError("--channels each gives a row for each channel. With --engine ray, give mix or one channel")
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise SettingError(f"The threshold for abstaining is {abstain_below:g}. Give a probability, 0 to 1")
    opened = model_folder.read(finding.find_folder(model).absolute())
    own_folder = model is not None and Path(model).is_dir()  # which every machine must have at the same place
    model = str(Path(model).absolute()) if model is not None and own_folder else model
    chosen = None if emotions is None else settling.chosen(tuple(emotions), opened.config)
    used = None if settled is None else settling.read(settled, opened.config)
    settings: dict[str, Any] = {
        "channels": str(channels),
        "emotions": None if chosen is None else list(chosen),
        "abstain_below": opened.config.abstain_below if abstain_below is None else abstain_below,
        "settled": None if used is None else list(used.shift),
    }
    arguments: dict[str, Any] = {
        "model": model, "column": column, "id_column": id_column, "settled": used, "emotions": chosen,
        "channels": channels, "abstain_below": abstain_below,
    }  # fmt: skip
    function: Callable[[Any], Tables] = PredictRows(arguments)
    if command == "timeline":
        engine.check(window_s, hop_s, opened.config.settings.front_end)
        if kind is not None and kind not in formats.FORMATS:
            raise SettingError(suggest(kind, formats.FORMATS, "format"))
        settings |= {"window_s": window_s, "hop_s": hop_s, "format": kind}
        arguments |= {"window_s": window_s, "hop_s": hop_s, "kind": kind}
        function = TimelineRows(arguments)
    return Work(
        command=command,
        function=function,
        needs=[Path(model)] if model is not None and own_folder else [],
        main=RECORDINGS if command == "timeline" else "",
        adds=list(added_columns.columns(Outputs.of(opened.config))),
        suffix="" if kind is None else formats.FORMATS[kind].suffix,
        model=opened.config.name,
        model_version=opened.config.version,
        model_hash=opened.content_hash(),
        settings=settings,
    )


def manifest(
    names: Sequence[str],
    folder: ResultFolder,
    column: str | None,
    id_column: str | None,
    limit: int | None,
    *,
    on_note: Callable[[str], object],
) -> tuple[list[str], Manifest]:
    """Return the manifest of a job, and the names of its tables as they may be shown.

    Tables are read. Of recordings that are given themselves, in folders or by patterns, a table is written into the
    folder of the results first; a resumed job uses that table.

    Args:
        names: tables, with `column` or `id_column` also folders of Parquet; or recordings.
        folder: of the results.
        column: of the recordings.
        id_column: of the ids.
        limit: rows to use.
        on_note: called with a line before something that may take long.

    Raises:
        ManifestError: if a table cannot be used.
        SettingError: if tables and recordings are mixed, or a recording's URI may have a secret.
    """
    tables = [column is not None or id_column is not None or manifest_tables.is_table(name) for name in names]
    if all(tables):
        return [uris.redacted(name) for name in names], Manifest(names, column or COLUMN, id_column, limit)
    if any(tables):
        raise SettingError("Some of the names are tables, and some are not. Give only tables, or only recordings")
    if folder.read(NOTE) is None or folder.read(LISTING) is None:
        _list(names, folder, on_note)
    else:
        on_note(f"The recordings are those that were listed when {folder.name} was begun")
    return [uris.redacted(name) for name in names], Manifest([folder.full_name(LISTING)], COLUMN, None, limit)


def _list(names: Sequence[str], folder: ResultFolder, on_note: Callable[[str], object]) -> None:
    pa, parquet = import_pyarrow()
    on_note("Listing the recordings: a million files take minutes. A table of them (.parquet) needs no listing")
    started = time.monotonic()
    if secret := next((name for name in names if uris.redacted(name) != name), ""):
        raise SettingError(
            f"{uris.redacted(secret)} has a part that may be secret, and would be written into a list. Give a manifest"
        )
    found = [name if uris.is_uri(name) else str(Path(name).absolute()) for name in batch.expand(names, on_note=on_note)]
    sink = io.BytesIO()
    parquet.write_table(pa.table({COLUMN: pa.array(found, pa.string())}), sink, compression="zstd")
    folder.put(LISTING, sink.getvalue())
    on_note(f"{len(found):,} recordings, listed in {time.monotonic() - started:.1f} s")
