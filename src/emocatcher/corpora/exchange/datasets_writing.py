"""Write a corpus for Hugging Face `datasets`: as Arrow (`load_from_disk`), as Parquet, or as a folder of recordings."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emocatcher.corpora.exchange import exported, saved_dataset
from emocatcher.corpora.exchange.exported import Column, Folds
from emocatcher.corpora.manifest import dimension_columns
from emocatcher.corpora.places import staged
from emocatcher.corpora.table import Corpus, Utterance
from emocatcher.foundation.errors import CorpusError
from emocatcher.foundation.parquet import import_pyarrow

_NAMES = {"": "train", "train": "train", "valid": "validation", "test": "test"}  # of the splits
_TYPES = {str: "string", int: "int64", float: "float64"}
_BATCH_BYTES, _SHARD_BYTES = 1 << 25, 500_000_000
# The suffixes of sound that `audiofolder` finds (datasets 5.2); it reads no others.
_AUDIO_FOLDER = frozenset(
    f".{name}"
    for name in (
        "aiff", "au", "caf", "flac", "ogg", "opus", "wav", "w64", "rf64", "mp3", "voc", "nist", "3gp", "3g2", "mp4",
        "mkv", "mov", "webm", "wma", "avi",
    )
)  # fmt: skip


def write(corpus: Corpus, to: Path, kind: str, folds: Folds) -> None:
    """Write a folder that `datasets` loads.

    Args:
        corpus: with its recordings; segments are cut out.
        to: the folder to create; missing, or empty.
        kind: "datasets" for `load_from_disk`; "parquet" or "audiofolder" for `load_dataset`.
        folds: columns to add, such as those of a protocol.

    Raises:
        CorpusError: if a recording cannot be read, or `audiofolder` would not find it.
        OSError: if the folder cannot be written.
        MissingExtraError: if pyarrow is needed and not installed.
    """
    columns = exported.columns(corpus, folds)
    with staged(to) as staging:
        found = exported.parts(corpus, folds)
        if kind == "audiofolder":
            _write_audio_folder(corpus, staging, columns, found)
        else:
            _write_tables(corpus, staging, columns, found, as_arrow=kind == "datasets")
        if kind != "datasets":
            (staging / "README.md").write_text(_card(corpus), encoding="utf-8")


def _write_tables(
    corpus: Corpus, folder: Path, columns: Sequence[Column], parts: dict[str, list[Utterance]], *, as_arrow: bool
) -> None:
    names = exported.clip_names([*corpus.utterances, *corpus.unlabelled], exported.file_names(corpus))
    for split, utterances in parts.items():
        inside = folder / (_NAMES[split] if split else "") if as_arrow else folder / "data"
        inside.mkdir(exist_ok=True)
        n_shards = max(1, math.ceil(sum(map(exported.size, utterances)) / _SHARD_BYTES))
        size = max(1, math.ceil(len(utterances) / n_shards))
        shards = [utterances[start : start + size] for start in range(0, len(utterances), size)]
        files = []
        for number, shard in enumerate(shards):
            stem = f"{'data' if as_arrow else _NAMES[split]}-{number:05d}-of-{len(shards):05d}"
            files.append(f"{stem}.{'arrow' if as_arrow else 'parquet'}")
            _write_shard(inside / files[-1], corpus, shard, columns, names, as_arrow=as_arrow)
        if as_arrow:
            _describe(inside, corpus, columns, files, split)
    if as_arrow and "" not in parts:
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": [_NAMES[split] for split in parts]}))


def _write_shard(
    path: Path,
    corpus: Corpus,
    utterances: Sequence[Utterance],
    columns: Sequence[Column],
    names: dict[str, str],
    *,
    as_arrow: bool,
) -> None:
    pa, parquet = import_pyarrow()
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema(
        [
            ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("emotion", pa.int64()),
            *((_header(column), kinds[column.kind]) for column in columns),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": _features(corpus, columns)}})},
    )
    numbers = {label: number for number, label in enumerate(corpus.labels)}

    def rows() -> Iterator[list[dict[str, Any]]]:
        batch, n_bytes = [], 0
        for one in utterances:
            content, _ = exported.sound(one)
            cells: dict[str, Any] = {"audio": {"bytes": content, "path": names[one.id]}}
            cells["emotion"] = numbers.get(one.emotion)
            batch.append(cells | {_header(column): column.value(one) for column in columns})
            n_bytes += len(content)
            if n_bytes >= _BATCH_BYTES:
                yield batch
                batch, n_bytes = [], 0
        yield batch

    writer = pa.ipc.new_stream(path, schema) if as_arrow else parquet.ParquetWriter(path, schema)
    with writer:
        for batch in rows():
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _describe(folder: Path, corpus: Corpus, columns: Sequence[Column], files: list[str], split: str) -> None:
    info = {
        "citation": "",
        "description": f"{corpus.name}, written by emocatcher",
        "features": _features(corpus, columns),
        "homepage": "",
        "license": corpus.licence,
    }
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in files],
        "_fingerprint": hashlib.sha256(f"{corpus.name} {split} {len(corpus)}".encode()).hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": _NAMES[split] if split else None,
    }
    for name, content in ((saved_dataset.INFO, info), (saved_dataset.STATE, state)):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _features(corpus: Corpus, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "audio": {"_type": "Audio"},
        "emotion": {"names": list(corpus.labels), "_type": "ClassLabel"},
        **{_header(column): {"dtype": _TYPES[column.kind], "_type": "Value"} for column in columns},
    }


def _header(column: Column) -> str:
    """Return a column's name; of ratings with their range, which tables of emocatcher have in their header."""
    if column.low is None or column.high is None:
        return column.name
    return dimension_columns.header(column.name, column.low, column.high)


def _write_audio_folder(
    corpus: Corpus, folder: Path, columns: Sequence[Column], parts: dict[str, list[Utterance]]
) -> None:
    everyone = [*corpus.utterances, *corpus.unlabelled]
    names = exported.clip_names(everyone, exported.file_names(corpus))
    if other := [name for name in names.values() if Path(name).suffix.lower() not in _AUDIO_FOLDER]:
        raise CorpusError(
            f"{len(other)} of {len(names)} recordings have a suffix that `audiofolder` does not find, such as "
            f"{other[0]}. Convert them, or write the corpus with --as datasets or --as parquet"
        )
    for split, utterances in parts.items():
        inside = folder / (_NAMES[split] if split else "")
        inside.mkdir(exist_ok=True)
        # Not CSV, of which `datasets` would read a speaker 01 as the number 1.
        with (inside / "metadata.jsonl").open("w", encoding="utf-8") as file:
            for one in utterances:
                path = inside / names[one.id]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(exported.sound(one)[0])
                cells = {_header(column): column.value(one) for column in columns}
                row = {"file_name": names[one.id], "emotion": one.emotion or None, **cells}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _card(corpus: Corpus) -> str:
    """Return the card of the dataset, whose header is what the hub and `datasets` read."""
    counts = {label: sum(one.emotion == label for one in corpus) for label in corpus.labels}
    rows = "\n".join(f"| {label} | {n} |" for label, n in counts.items())
    return (
        f"---\nlicense: other\nlicense_name: {json.dumps(corpus.licence, ensure_ascii=False)}\n"
        f"tags: [speech-emotion-recognition, audio]\n---\n\n# {corpus.name}\n\nWritten by emocatcher. Licence: "
        f"{corpus.licence}.\n\n| emotion | recordings |\n|---|---|\n{rows}\n"
    )
