"""Find the Arrow files of a folder that `save_to_disk` of Hugging Face `datasets` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from emocatcher.corpora.exchange import described
from emocatcher.corpora.exchange.sound_tables import SoundTable
from emocatcher.foundation.errors import CorpusError

T = TypeVar("T")

_SPLITS, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"
_LARGEST = 1 << 24  # bytes of one of these files


class _Splits(msgspec.Struct):
    splits: list[str]


class _File(msgspec.Struct):
    filename: str


class _State(msgspec.Struct):
    files: list[_File] = msgspec.field(name="_data_files")


class _Info(msgspec.Struct):
    license: str | None = None


def is_one(folder: Path) -> bool:
    """Return whether a folder was written by `save_to_disk`."""
    return (folder / _SPLITS).is_file() or ((folder / STATE).is_file() and (folder / INFO).is_file())


def tables(folder: Path) -> list[SoundTable]:
    """Return the Arrow files of all splits, in order.

    Raises:
        CorpusError: if a description is damaged, or names what is not in the folder.
    """
    if not (folder / _SPLITS).is_file():
        return _of_split(folder, folder, None)
    names = _decode(folder / _SPLITS, _Splits).splits
    found = []
    for name in names:
        part = folder / name
        if name in ("", ".", "..") or Path(name).name != name or not part.is_dir():
            raise CorpusError(f"{folder / _SPLITS} names the split {name[:200]!r}, which is no folder of {folder}")
        found += _of_split(folder, part, described.split_of(name))
    return found


def licence(folder: Path) -> str:
    """Return the licence that the dataset states; "unknown" if there is none."""
    parts = sorted(folder.glob(f"*/{INFO}"))
    files = [path for path in (folder / INFO, *parts) if path.is_file()]
    return next(filter(None, (_decode(path, _Info).license for path in files)), "unknown")


def _of_split(root: Path, folder: Path, split: str | None) -> list[SoundTable]:
    state = folder / STATE
    named = [described.inside(root, file.filename, str(state), folder) for file in _decode(state, _State).files]
    if missing := [path for path in named if not path.is_file()]:
        raise CorpusError(f"{state} names {missing[0].name}, which is missing. Get the dataset again")
    return [SoundTable(path, split) for path in named]


def _decode(path: Path, kind: type[T]) -> T:
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise CorpusError(f"{path} has {size:,} bytes; allowed are {_LARGEST:,}. Save the dataset again")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise CorpusError(f"{path} does not describe a dataset: {error}. Save it again with save_to_disk") from None
