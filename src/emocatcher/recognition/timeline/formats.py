"""Encode a timeline, or one for each channel or speaker, in one of several file formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from emocatcher.foundation.errors import SettingError, suggest
from emocatcher.foundation.parquet import import_pyarrow
from emocatcher.recognition.timeline import subtitles, tiers, window_tables
from emocatcher.recognition.timeline.recording import Timeline


class Format(NamedTuple):
    """A file format."""

    suffix: str  # of its files, in lower case
    encode: Callable[[Sequence[Timeline]], bytes]


FORMATS = {
    "json": Format(".json", window_tables.to_json_list),
    "csv": Format(".csv", window_tables.to_csv),
    "parquet": Format(".parquet", window_tables.to_parquet),
    "srt": Format(".srt", subtitles.to_srt),
    "vtt": Format(".vtt", subtitles.to_vtt),
    "textgrid": Format(".textgrid", tiers.to_textgrid),
    "audacity": Format(".txt", tiers.to_audacity),
}


def encode(timeline: Timeline | Sequence[Timeline], name: str) -> bytes:
    """Encode a timeline, or those of the channels or speakers of a recording, as the content of a file.

    Args:
        timeline: one; or one for each channel or speaker, which are then rows, tiers, cues or a list of one file.
        name: one of `FORMATS`.

    Raises:
        SettingError: if the format is unknown.
        MissingExtraError: if the format needs an extra (Parquet: `batch`).
    """
    if name not in FORMATS:
        raise SettingError(suggest(name, FORMATS, "format"))
    if isinstance(timeline, Timeline):
        return window_tables.to_json(timeline) if name == "json" else FORMATS[name].encode([timeline])
    return FORMATS[name].encode(timeline)


def choose(requested: str | None, out: Path | None) -> str:
    """Return the requested format, or else that of the file's suffix, or else "table", which is for reading.

    Raises:
        MissingExtraError: if the format is Parquet and pyarrow is not installed.
        SettingError: if the format is unknown, or the suffix is that of another format; .txt is allowed for all.

    Examples:
        >>> choose(None, Path("interview.srt")), choose("table", Path("interview.txt")), choose(None, None)
        ('srt', 'table', 'table')
    """
    name = requested or (format_of(out) if out else "table")
    if name != "table" and name not in FORMATS:
        raise SettingError(suggest(name, ["table", *FORMATS], "format"))
    ending = out.suffix.lower() if out else ""
    if out and any(ending == known.suffix != ".txt" and name != other for other, known in FORMATS.items()):
        raise SettingError(f"'{out.name}' ends with {ending}, and --format is {name}. Give only one, or another ending")
    if name == "parquet":
        import_pyarrow()  # before hours of audio are processed for it
    return name


def format_of(path: Path) -> str:
    """Return the format for a file name, by its suffix.

    Raises:
        SettingError: if no format has this suffix.

    Examples:
        >>> format_of(Path("interview.TextGrid")), format_of(Path("labels.txt"))
        ('textgrid', 'audacity')
    """
    for name, known in FORMATS.items():
        if path.suffix.lower() == known.suffix:
            return name
    suffixes = ", ".join(f"{known.suffix} ({name})" for name, known in FORMATS.items())
    raise SettingError(f"'{path.name}' has no known format suffix. Give --format, or a name that ends in {suffixes}")
