"""The formats a timeline can be written in."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from emocatcher.errors import MissingExtraError, SettingError, suggest
from emocatcher.timeline import subtitles, tables, tiers
from emocatcher.timeline.recording import Timeline


class Format(NamedTuple):
    """One format."""

    suffix: str  # of its files, in small letters
    encode: Callable[[Timeline], bytes]


FORMATS = {
    "json": Format(".json", tables.to_json),
    "csv": Format(".csv", tables.to_csv),
    "parquet": Format(".parquet", tables.to_parquet),
    "srt": Format(".srt", subtitles.to_srt),
    "vtt": Format(".vtt", subtitles.to_vtt),
    "textgrid": Format(".textgrid", tiers.to_textgrid),
    "audacity": Format(".txt", tiers.to_audacity),
}


def encode(timeline: Timeline, name: str) -> bytes:
    """Write a timeline as a file's content.

    Args:
        timeline: what was heard.
        name: one of `FORMATS`.

    Raises:
        SettingError: if there is no such format.
        MissingExtraError: if the format needs an extra (Parquet: `batch`).
    """
    if name not in FORMATS:
        raise SettingError(suggest(name, FORMATS, "format"))
    return FORMATS[name].encode(timeline)


def check(name: str) -> None:
    """See that what a format needs is there, before hours of sound are heard for it.

    Raises:
        MissingExtraError: without pyarrow, for Parquet.
    """
    if name == "parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError("Parquet", "batch")


def format_of(path: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        SettingError: if it asks for none.

    Examples:
        >>> format_of(Path("interview.TextGrid")), format_of(Path("labels.txt"))
        ('textgrid', 'audacity')
    """
    for name, known in FORMATS.items():
        if path.suffix.lower() == known.suffix:
            return name
    suffixes = ", ".join(f"{known.suffix} ({name})" for name, known in FORMATS.items())
    raise SettingError(f"'{path.name}' tells no format. Give --format, or a name that ends in {suffixes}")
